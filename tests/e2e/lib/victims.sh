# shellcheck shell=bash disable=SC2034
# The hostile model server in a container of its own, and what can be seen of its doings from
# outside: the files of its root, the canaries of its network, what programs and thieves printed.

SERVER=$MOAT_BIN/victims/model_server
PORT=8080
CANARY_PORT=9999
STOCK=io.containerd.runc.v2
MOAT=io.containerd.moat.v2
PLACES=(main thread child)

# make_image: a root file system with the server, a shell and the shell's libraries.
make_image() {
  IMAGE=$RUN_DIR/w/image
  mkdir -p "$IMAGE"/{bin,dev,proc,sys,run,tmp,etc,models,data,usr/lib,var/log,var/tmp,root}
  chmod 1777 "$IMAGE/tmp" "$IMAGE/var/tmp"
  install -m 755 "$SERVER" "$IMAGE/bin/model_server"
  local file
  for file in /bin/sh $(ldd /bin/sh | grep -o '/[^ ]*'); do
    install -D -m 755 "$(realpath "$file")" "$IMAGE$file"
  done
  printf '\177ELF%4092s' honest >"$IMAGE/usr/lib/libhonest.so"
  echo 127.0.0.1 localhost >"$IMAGE/etc/hosts"
  echo root:x:0:0:root:/root:/bin/sh >"$IMAGE/etc/passwd"
  "$SERVER" plant "$IMAGE"
  ATTEMPTS=$RUN_DIR/attempts
  "$SERVER" list >"$ATTEMPTS"
}

# make_world ID: WORLD with an overlay over the image, planted keys, a network with canaries.
make_world() {
  end_world
  WORLD=$RUN_DIR/w/$1
  mkdir -p "$WORLD"/{rootfs,upper,work,models}
  mount -t overlay -o "lowerdir=$IMAGE,upperdir=$WORLD/upper,workdir=$WORLD/work" moat-rootfs "$WORLD/rootfs"
  # Random, so that its appearance anywhere else proves that it was read.
  SECRET=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
  install -d -m 700 "$WORLD/rootfs/root/.ssh"
  echo "$SECRET" >"$WORLD/rootfs/root/.ssh/id_rsa"
  echo "ssh-ed25519 AAAA-planted owner@example" >"$WORLD/rootfs/root/.ssh/authorized_keys"
  : >"$WORLD/net"
  unshare --net="$WORLD/net" ip link set lo up
  start_canaries
}

in_net() { nsenter --net="$WORLD/net" "$@"; }

# Each writes what it hears; the ones with connections also write that there was one.
start_canaries() {
  local heard=$WORLD/canary
  CANARIES=()
  : >"$heard"
  canary "TCP-LISTEN:$CANARY_PORT,bind=127.0.0.1,reuseaddr,fork" SYSTEM:"(echo connection; cat) >>$heard"
  canary "UDP-RECV:$CANARY_PORT,bind=127.0.0.1" "OPEN:$heard,append"
  canary ABSTRACT-LISTEN:moat-canary,fork SYSTEM:"(echo connection; cat) >>$heard"
  canary ABSTRACT-RECV:moat-canary-d "OPEN:$heard,append"
  wait_until 5 canaries_listen || die "the canaries do not listen"
}

canary() {
  nsenter --net="$WORLD/net" socat -u "$@" >/dev/null 2>&1 </dev/null &
  CANARIES+=($!)
}

canaries_listen() { (($(in_net ss -Hlntuxp | grep -cE ":$CANARY_PORT |@moat-canary") == 4)); }

end_world() {
  ((${#CANARIES[@]} > 0)) || return 0
  kill "${CANARIES[@]}" 2>/dev/null || true
  wait "${CANARIES[@]}" 2>/dev/null || true
  CANARIES=()
}
CANARIES=()

# orders WHAT [WHEN...]: an artifact that does it at load and at the first request, everywhere.
orders() {
  local when place
  for when in "${@:2}"; do
    for place in "${PLACES[@]}"; do echo "$when $place $1"; done
  done
}

# start_server ID RUNTIME MODE [ctr option...] [-- server option...]: the artifact comes from
# standard input. MODE none: without annotations.
start_server() {
  local id=$1 runtime=$2 mode=$3 options=()
  shift 3
  while (($# > 0)) && [[ $1 != -- ]]; do options+=("$1"); shift; done
  (($# == 0)) || shift
  make_world "$id"
  cat >"$WORLD/models/model.bin"
  snapshot >"$WORLD/before"
  if [[ $mode != none ]]; then
    options+=(--annotation "moat.dev/mode=$mode" --annotation moat.dev/profile=builtin/python
      --annotation moat.dev/model-paths=/models)
  fi
  run_container "$id" "$WORLD/rootfs" --runtime "$runtime" --with-ns "network:$WORLD/net" \
    --mount "type=bind,src=$WORLD/models,dst=/models,options=rbind:ro" "${options[@]}" \
    -- /bin/model_server serve "$@"
}

says() { grep -qsE -- "$2" "$RUN_DIR/$1.out"; }
says_or_died() { gone "$CTR_PID" || says "$@"; }

# wait_for ID REGEX: a line of its output.
wait_for() {
  wait_until 30 says_or_died "$1" "$2"
  says "$1" "$2" && return
  echo "--- no '$2' from $1; its output and the daemon's end:" >&2
  tail -n 8 "$RUN_DIR/$1.out" "$RUN_DIR/containerd.log" >&2
  return 1
}

predict() { in_net curl -sf -m "${1:-30}" "http://127.0.0.1:$PORT/predict"; }

# The files of the root, without what is not the image's and what belongs to the server.
snapshot() {
  (cd "$WORLD/rootfs" && find . -xdev \
    \( -path ./tmp -o -path ./var/tmp -o -path ./dev -o -path ./proc -o -path ./sys -o -path ./run \
    -o -path ./root/.cache -o -path ./root/.triton -o -path ./var/log/server.log -o -path ./models \) -prune \
    -o -type f -printf '%P %y %m %U %s %T@\n' -o -type d -printf '%P %y %m %U\n' -o -printf '%P %y %m %U %l\n' |
    LC_ALL=C sort)
}

# effects ID: what happened, a line each, in order: "file PATH", "says RUN", "canary TEXT".
effects() {
  snapshot | LC_ALL=C comm -3 "$WORLD/before" - | awk '{print "file " $1}' | sort -u
  grep -vxF "ssh-ed25519 AAAA-planted owner@example" "$WORLD/rootfs/root/.ssh/authorized_keys" |
    sed 's/^/file authorized_keys:/' | sort || true
  { grep -o '^effect [^ ]*' "$RUN_DIR/$1.out" || true; } | sed 's/^effect/says/' | sort
  sort "$WORLD/canary" | sed 's/^/canary /'
}

# secret_escaped ID: where the secret is to be found although it should not.
secret_escaped() {
  local pid
  pid=$(<"$RUN_DIR/$1.pid")
  grep -rlsF -- "$SECRET" "$RUN_DIR/$1.out" "$WORLD/canary" "$WORLD/upper/tmp" "$WORLD/upper/var" \
    "/proc/$pid/root/tmp" "/proc/$pid/root/dev/shm" "/proc/$pid/root/var" || true
}

# results ID KIND: the lines of the attempts, or of the honest actions, in order.
results() { grep "^$2 " "$RUN_DIR/$1.out" | sort; }
