# shellcheck shell=bash
# Debian packages on this machine: installs what tests/packages.txt names and the machine lacks.

packages_of() {
  local group package _
  while read -r group package _; do
    [[ " $* " != *" $group "* ]] || echo "$package"
  done < <(grep -v '^#' "$MOAT_SOURCE/tests/packages.txt")
}

# Prints the packages of its arguments that are not installed, one a line.
missing_packages() {
  local package status
  for package in "$@"; do
    status=$(dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null) || true
    [[ $'\n'$status$'\n' == *$'\ninstalled\n'* ]] || echo "$package"
  done
}

# install_packages GROUP...: no network at all when everything is there.
install_packages() {
  local wanted missing
  mapfile -t wanted < <(packages_of "$@")
  ((${#wanted[@]} > 0)) || die "no package in tests/packages.txt has a group of: $*" 2
  mapfile -t missing < <(missing_packages "${wanted[@]}")
  ((${#missing[@]} > 0)) || return 0
  say "installing ${#missing[@]} packages: ${missing[*]}"
  quietly "$MOAT_CACHE/log/apt-install.log" apt_install "${missing[@]}" ||
    die "cannot install packages; the machine needs its Debian mirror for the first run"
}

# In a subshell, for the trap. Nothing may start a service of the machine; most packages here have
# none, but their dependencies are not ours to know.
apt_install() (
  guard=/usr/sbin/policy-rc.d
  if [[ ! -e $guard ]]; then
    trap 'rm -f "$guard"' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$guard"
    chmod 755 "$guard"
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update
  apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 \
    -o Dpkg::Options::=--force-confold install "$@" </dev/null
)
