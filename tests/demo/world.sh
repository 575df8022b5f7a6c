# shellcheck shell=bash disable=SC2034
# The world around one of the demo's containers: its root file system with planted keys, its network
# namespace with a canary in it, and what can be seen of it from outside.

PORT=8080
CANARY_PORT=9999  # the one the payload connects to

# make_world ID ROOTFS: WORLD=$RUN_DIR/w/ID with upper/, rootfs/, net, canary.log.
make_world() {
  WORLD=$RUN_DIR/w/$1
  mkdir -p "$WORLD"
  mount_rootfs "$2" "$WORLD"
  install -D -m 644 -t "$WORLD/rootfs/app" "$MOAT_SOURCE"/tests/demo/{serve,train,payload}.py
  plant_keys
  : >"$WORLD/net"
  unshare --net="$WORLD/net" ip link set lo up
  start_canary
}

# Random, so that its appearance anywhere else proves that it was read.
plant_keys() {
  SECRET=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
  install -d -m 700 "$WORLD/rootfs/root/.ssh"
  printf -- '-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n-----END OPENSSH PRIVATE KEY-----\n' "$SECRET" \
    >"$WORLD/rootfs/root/.ssh/id_rsa"
  echo "ssh-ed25519 AAAA-planted-by-the-demo owner@example" >"$WORLD/rootfs/root/.ssh/authorized_keys"
  chmod 600 "$WORLD/rootfs/root/.ssh/"*
  cp "$WORLD/rootfs/root/.ssh/authorized_keys" "$WORLD/authorized_keys.planted"
}

# Writes a line for each connection, even a silent one, then what it says.
start_canary() {
  : >"$WORLD/canary.log"
  nsenter --net="$WORLD/net" socat -u "TCP-LISTEN:$CANARY_PORT,bind=127.0.0.1,reuseaddr,fork" \
    SYSTEM:"(echo connection; cat) >>$WORLD/canary.log" >/dev/null 2>&1 </dev/null &
  CANARY_PID=$!
  wait_until 5 canary_listens || die "the canary does not listen on port $CANARY_PORT"
}

# Asked of the kernel: a trial connection would be the canary's first catch.
canary_listens() { in_net ss -Hltn "sport = :$CANARY_PORT" | grep -q .; }

in_net() { nsenter --net="$WORLD/net" "$@"; }

end_world() {
  kill "$CANARY_PID" 2>/dev/null || true
  wait "$CANARY_PID" 2>/dev/null || true
  CANARY_PID=
}

# What the container's own mounts show (an island is not in the upper folder), and the upper folder.
views() {
  local pid
  pid=$(cat "$RUN_DIR/$1.pid" 2>/dev/null) || true
  [[ -z $pid || ! -d /proc/$pid/root/root ]] || echo "/proc/$pid/root"
  echo "$WORLD/upper"
}

# effects ID: which of the payload's four took place, as words: shell key append connect.
effects() {
  local view found=
  for view in $(views "$1"); do
    [[ ! -e $view/tmp/moat-demo-shell ]] || found+=" shell"
    ! secret_escaped "$view" || found+=" key"
    cmp -s "$view/root/.ssh/authorized_keys" "$WORLD/authorized_keys.planted" || found+=" append"
  done
  ! grep -qF "$SECRET" "$WORLD/canary.log" || found+=" key"
  [[ ! -s $WORLD/canary.log ]] || found+=" connect"
  in_order "$found"
}

secret_escaped() {
  local place
  for place in tmp var/tmp dev/shm run models app; do
    ! grep -rqsF -- "$SECRET" "$1/$place" || return 0
  done
  return 1
}

in_order() {
  local word out=
  for word in shell key append connect; do
    [[ " $1 " != *" $word "* ]] || out+="$word "
  done
  echo "${out% }"
}
