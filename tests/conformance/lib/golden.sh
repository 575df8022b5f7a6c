# shellcheck shell=bash disable=SC2034
# The calls of the replay, and what is compared of their answers.

# Rows whose text moat words in its own way, and why. Their codes and fields are compared all the same.
TEXTS='
garbage request: it ends with what the protobuf parser says, and no two of them say the same
'

# Rows in which containerd 1.6 stands alone: moat answers what later ones do.
OUTDATED='
Start exec when init has exited: 1.6 asked runc, and had only a text for its refusal
reused stream: its ttrpc did not look at what came before
smaller stream: its ttrpc did not look at what came before
'

# Rows that supervision answers itself.
SUPERVISED='
Checkpoint: CRIU cannot save a container with a seccomp listener, and runc would say so less clearly
'

PROCESS='{"cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}, "args": ["/bin/sleep", "1000"]}'

# golden_script ID BUNDLE: one container's life, and every call in every state that has an own answer.
golden_script() {
  local id=$1 bundle=$2
  jq '.args = ["/bin/nothing"]' <<<"$PROCESS" >"$RUN_DIR/bad.json"
  echo "$PROCESS" >"$RUN_DIR/good.json"
  { echo "$PROCESS"; head -c 4000000 /dev/zero | tr '\0' ' '; } >"$RUN_DIR/large.json"
  printf '{nope' >"$RUN_DIR/garbage.json"
  printf '{zz' >"$RUN_DIR/garbage.resources"
  printf '{}' >"$RUN_DIR/none.resources"
  cat <<END
State unknown container | State id=zz
Start unknown container | Start id=zz
Delete unknown container | Delete id=zz
Wait unknown container | Wait id=zz
Kill unknown container | Kill id=zz signal=9
Pids unknown container | Pids id=zz
Stats unknown container | Stats id=zz
Exec unknown container | Exec id=zz exec=e1 spec=@$RUN_DIR/good.json
Pause unknown container | Pause id=zz
Update unknown container | Update id=zz resources=@$RUN_DIR/none.resources
CloseIO unknown container | CloseIO id=zz
ResizePty unknown container | ResizePty id=zz
Checkpoint unknown container | Checkpoint id=zz path=/nowhere
Create | Create id=$id bundle=$bundle
State created | State id=$id
Pids created | Pids id=$id
Pause created | Pause id=$id
Resume created | Resume id=$id
Start | Start id=$id
State running | State id=$id
State unknown exec | State id=$id exec=zz
Connect | Connect id=$id
Connect unknown id | Connect id=zz
Start already running | Start id=$id
Delete running | Delete id=$id
Wait unknown exec | Wait id=$id exec=zz
Kill unknown exec | Kill id=$id exec=zz signal=9
Start unknown exec | Start id=$id exec=zz
Delete unknown exec | Delete id=$id exec=zz
CloseIO init no stdin | CloseIO id=$id
CloseIO unknown exec | CloseIO id=$id exec=zz
ResizePty no tty | ResizePty id=$id width=80 height=24
ResizePty unknown exec | ResizePty id=$id exec=zz width=80 height=24
Resume running | Resume id=$id
Exec | Exec id=$id exec=e1 spec=@$RUN_DIR/good.json
Exec duplicate | Exec id=$id exec=e1 spec=@$RUN_DIR/good.json
State exec created | State id=$id exec=e1
Kill exec not started | Kill id=$id exec=e1 signal=9
Start exec | Start id=$id exec=e1
State exec running | State id=$id exec=e1
Delete exec running | Delete id=$id exec=e1
CloseIO exec | CloseIO id=$id exec=e1
ResizePty exec no tty | ResizePty id=$id exec=e1 width=80 height=24
Pids | Pids id=$id
Exec bad binary | Exec id=$id exec=e2 spec=@$RUN_DIR/bad.json
Start bad binary | Start id=$id exec=e2
State after failed start | State id=$id exec=e2
Wait after failed start | Wait id=$id exec=e2 patience=2000
Delete failed exec | Delete id=$id exec=e2
Exec garbage spec | Exec id=$id exec=e3 spec=@$RUN_DIR/garbage.json
Exec empty spec | Exec id=$id exec=e3
Exec spec of another type | Exec id=$id exec=e3 spec=[]
Exec large spec | Exec id=$id exec=e3 spec=@$RUN_DIR/large.json
Delete large exec | Delete id=$id exec=e3
Exec deleted unstarted | Exec id=$id exec=e4 spec=@$RUN_DIR/good.json
Delete unstarted exec | Delete id=$id exec=e4
Kill signal 0 | Kill id=$id signal=0
Kill signal 0 exec | Kill id=$id exec=e1 signal=0
Kill invalid signal | Kill id=$id signal=999
Kill exec invalid signal | Kill id=$id exec=e1 signal=999
Kill exec 9 | Kill id=$id exec=e1 signal=9
Wait exec | Wait id=$id exec=e1
State exec stopped | State id=$id exec=e1
Kill exec after exit | Kill id=$id exec=e1 signal=9
ResizePty exec after exit | ResizePty id=$id exec=e1 width=80 height=24
CloseIO exec after exit | CloseIO id=$id exec=e1
Start exec after exit | Start id=$id exec=e1
Wait exec after exit | Wait id=$id exec=e1
Delete exec | Delete id=$id exec=e1
State exec after delete | State id=$id exec=e1
Update garbage | Update id=$id resources=@$RUN_DIR/garbage.resources
Update nothing | Update id=$id resources=@$RUN_DIR/none.resources
Update empty | Update id=$id
Update of another type | Update id=$id resources="text"
Pause | Pause id=$id
State paused | State id=$id
Pause again | Pause id=$id
Exec while paused | Exec id=$id exec=e5 spec=@$RUN_DIR/good.json
Delete paused | Delete id=$id
Start paused | Start id=$id
Pids paused | Pids id=$id
Resume | Resume id=$id
State resumed | State id=$id
Shutdown with container | Shutdown id=$id
Create again | Create id=$id bundle=$bundle
Create without config.json | Create id=other bundle=$RUN_DIR/b/none
State after failed create | State id=other
Unknown method | Foo id=$id
Unknown service | State service=containerd.task.v9.Task id=$id
Stats | Stats id=$id
Checkpoint | Checkpoint id=$id path=$bundle/checkpoint
Exec before exit | Exec id=$id exec=e6 spec=@$RUN_DIR/good.json
& Wait from before | Wait id=$id
Kill init 9 | Kill id=$id signal=9
- | Wait id=$id
join
State stopped | State id=$id
Kill after exit | Kill id=$id signal=9
Kill all after exit | Kill id=$id signal=9 all=1
Wait after exit | Wait id=$id
Stats after exit | Stats id=$id
Pids after exit | Pids id=$id
Exec after exit | Exec id=$id exec=e7 spec=@$RUN_DIR/good.json
Start exec when init has exited | Start id=$id exec=e6
State exec when init has exited | State id=$id exec=e6
Delete exec when init has exited | Delete id=$id exec=e6
Pause after exit | Pause id=$id
Resume after exit | Resume id=$id
Update after exit | Update id=$id resources=@$RUN_DIR/none.resources
Start after exit | Start id=$id
ResizePty after exit | ResizePty id=$id width=80 height=24
CloseIO after exit | CloseIO id=$id
Connect after exit | Connect id=$id
Delete | Delete id=$id
Delete again | Delete id=$id
State after delete | State id=$id
Wait after delete | Wait id=$id
Kill after delete | Kill id=$id signal=9
Connect after delete | Connect id=$id
END
}

# wire_script: frames that are not a client's; each on a connection of its own.
wire_script() {
  cat <<END
even stream | raw 2 1
reconnect
- | Connect id=zz
reused stream | raw 1 1
smaller stream | raw 1 1
reconnect
garbage request | raw 0 1 0affffffff
and the request after it | Connect id=zz
reconnect
unknown type | raw 1 9 00
and the request after it | Connect id=zz
reconnect
4 MiB and a byte | raw 0 1 zeros:4194305
and the request after it | Connect id=zz
END
}

# replay NAME SHIM VERSION JQ-FILTER: NAME.rows and NAME.events in RUN_DIR.
replay() {
  local name=$1 shim=$2 version=$3 bundle=$RUN_DIR/b/golden
  new_bundle golden "$4"
  mkdir -p "$RUN_DIR/b/none"
  : >"$RUN_DIR/events"
  check "$name: it starts" start_by_hand golden "$shim"
  [[ $HELD ]] || return 0
  { golden_script golden "$bundle"; wire_script; echo "Shutdown | Shutdown id=golden"; } >"$RUN_DIR/script"
  play "$version" <"$RUN_DIR/script" >"$RUN_DIR/raw" 2>"$RUN_DIR/$name.err" || true
  check "$name: every call is answered" equals "$(grep -cE '^[^-#].* \| ' "$RUN_DIR/script")" "$(wc -l <"$RUN_DIR/raw")"
  check "$name: it ends after Shutdown" wait_until 10 no_shim_of golden
  rows "$name" <"$RUN_DIR/raw" >"$RUN_DIR/$name.rows"
  cat "$RUN_DIR/raw" "$RUN_DIR/events" | names_for_numbers | tail -n +"$(($(wc -l <"$RUN_DIR/raw") + 1))" >"$RUN_DIR/$name.events"
  delete_by_hand golden "$shim" >/dev/null 2>&1 || true
  rm -rf "$bundle"
}

# rows NAME: what is compared of the answers. A stock shim may be gone before its last one has left.
rows() {
  names_for_numbers | if [[ $1 != stock-* ]]; then cat; else
    sed "s/^Shutdown | (the connection is closed)\$/Shutdown | OK | '' | /"
  fi
}

no_shim_of() { [[ -z $(pgrep -f -- "-namespace $CTR_NAMESPACE -id $1( |\$)") ]]; }

# Pids and times differ from run to run; which are the same does not.
names_for_numbers() {
  awk '{
    out = ""
    while (match($0, /(pid|at)=[0-9.]+/)) {
      split(substr($0, RSTART, RLENGTH), pair, "=")
      if (!($0 in seen) && !(pair[2] in name)) name[pair[2]] = (pair[1] == "pid" ? "P" : "T") (++count[pair[1]])
      out = out substr($0, 1, RSTART - 1) pair[1] "=" name[pair[2]]
      $0 = substr($0, RSTART + RLENGTH)
    }
    print out $0
  }'
}

rows_of() { sed -nE 's/^([^:]+): .*/\1 |/p' <<<"$1"; }
without() { grep -vFf <(rows_of "$2") "$1"; }
only() { grep -Ff <(rows_of "$2") "$1"; }
wordless() { sed "s/'.*'/(its own text)/"; }
