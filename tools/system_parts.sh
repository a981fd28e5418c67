#!/bin/sh
# Java (for Spark) and Chromium (for the browser tests): installs them where it may, else says what to install.
missing=""
command -v java >/dev/null 2>&1 || missing="$missing default-jre-headless"
command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || missing="$missing chromium"
[ -z "$missing" ] && exit 0

if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    echo "Installing:$missing"
    # shellcheck disable=SC2086
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null && exit 0
fi

echo "Missing:$missing. Tests that need them are left out."
echo "On Debian or Ubuntu: sudo apt-get install$missing"
[ "$CI" = true ] && exit 1
exit 0
