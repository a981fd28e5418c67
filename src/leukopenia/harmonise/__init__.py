"""Raw tables -> patients, counts, findings, exposures, conditions. Specimens, codes, units, derivations, copies."""
