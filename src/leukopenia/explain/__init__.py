"""Episodes + exposures + conditions + findings -> causes, ranked, with reasons."""
