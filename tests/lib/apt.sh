# shellcheck shell=bash disable=SC2016,SC2034
# A private apt root per suite in the cache: packages are downloaded and unpacked there, never
# installed, and the machine's own apt never hears of another suite.

KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# The machine's own mirror serves its own suite; for the others only Debian's is sure to.
mirror_of() {
  local suite=$1 uri=
  if [[ $suite == bookworm ]]; then
    uri=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 2>/dev/null |
      sed -n 's|^\(http[^ ]*/debian\)/* bookworm main$|\1|p' | sort -u | head -n 1) || true
  fi
  echo "${uri:-http://deb.debian.org/debian}"
}

source_line() { echo "deb [signed-by=$KEYRING] $(mirror_of "$1") $1 main"; }

# apt_root SUITE [ARCHITECTURE]: makes the root, prints the path of the configuration to put into APT_CONFIG.
# Dir::Etc::Parts is set there before apt would read it, so the machine's hooks stay out (they clear
# its caches or call its services); its proxy is the one thing worth keeping.
apt_root() {
  local root=$MOAT_CACHE/apt/$1${2:+-$2}
  mkdir -p "$root"/{etc,state/lists/partial,cache/archives/partial}
  : >>"$root/state/status"
  source_line "$1" >"$root/etc/sources.list"
  {
    printf 'Dir "%s";\nDir::State "state";\nDir::Cache "cache";\nDir::Etc "etc";\n' "$root"
    printf 'Dir::State::status "%s";\n' "$root/state/status"
    printf 'Dir::Etc::Parts "/dev/null";\nDir::Etc::Main "/dev/null";\nDir::Etc::SourceParts "/dev/null";\n'
    printf 'Dir::Etc::Trusted "/dev/null";\nDir::Etc::TrustedParts "/dev/null";\n'
    [[ -z ${2:-} ]] || printf 'APT::Architecture "%s";\nAPT::Architectures { "%s"; };\n' "$2" "$2"
    printf 'APT::Sandbox::User "root";\nAcquire::Languages "none";\nAcquire::Retries "3";\n'
    # A mirror that lags is as good for tools of tests; the signature is checked all the same.
    printf 'Acquire::Check-Valid-Until "false";\n'
    apt-config dump | grep -iE '^Acquire::[a-z]+::Proxy' || true
  } >"$root/apt.conf"
  echo "$root/apt.conf"
}

# fetch_debs SUITE[/ARCHITECTURE] NAME PACKAGE...: unpacks the packages, without their dependencies, into
# $MOAT_CACHE/tools/NAME. What is there already is not asked for again.
fetch_debs() {
  local suite=$1 dest=$MOAT_CACHE/tools/$2 want
  shift 2
  want="$suite $*"
  [[ -r $dest/.stamp && $(<"$dest/.stamp") == "$want" ]] && return
  say "fetching from $suite: $*"
  local conf
  # shellcheck disable=SC2046  # "suite/architecture" is one or two words
  conf=$(apt_root ${suite/\// })
  quietly "$MOAT_CACHE/log/fetch-${suite/\//-}.log" unpack_debs "$conf" "$dest" "$@" ||
    die "cannot fetch $* from $suite; the first run needs a Debian mirror"
  echo "$want" >"$dest/.stamp"
}

# In a subshell, for the trap: an interrupted download leaves no half of a tool behind.
unpack_debs() (
  export APT_CONFIG=$1
  dest=$2
  shift 2
  mkdir -p "$(dirname "$dest")"
  rm -rf --one-file-system "$dest".??????  # of a run that was killed; the cache is locked
  work=$(mktemp -d "$dest.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM
  mkdir "$work/debs" "$work/tree"
  apt-get -q update || exit
  cd "$work/debs" || exit
  apt-get -q download "$@" || exit
  for deb in *.deb; do dpkg -x "$deb" "$work/tree" || exit; done
  rm -rf "$dest"
  mv "$work/tree" "$dest"
)

# containerd and runc of Debian 12, by path, for whoever starts them.
MOAT_TOOLS=$MOAT_CACHE/tools/bookworm
TOOLS_PATH=$MOAT_TOOLS/usr/bin:$MOAT_TOOLS/usr/sbin

fetch_tools() { with_cache_lock fetch_debs bookworm bookworm containerd runc; }
