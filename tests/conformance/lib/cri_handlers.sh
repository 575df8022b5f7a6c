# shellcheck shell=bash
# The same story under the stock shim and under moat: without supervision, and with a server that
# is supervised in `enforce` beside containers in `audit`.

tell_stories() {
  begin_cri "$@"
  tell_story stock runc '{}'
  tell_story off moat '{"moat.dev/mode": "off"}'
  check "off: the story is the stock shim's" same "$RUN_DIR/stock.story" "$RUN_DIR/off.story"
  tell_story supervised "$(by_path)" '{"moat.dev/mode": "audit", "mode.moat.dev/server": "enforce",
    "moat.dev/profile": "builtin/python", "moat.dev/model-paths": "/models"}'
  check "supervised: the story is the stock shim's" same "$RUN_DIR/stock.story" "$RUN_DIR/supervised.story"
  what_moat_says
  tell_shared_story shared-stock runc '{}'
  tell_shared_story shared "$(by_path)" '{"moat.dev/mode": "audit"}'
  check "shared: the story is the stock shim's" same "$RUN_DIR/shared-stock.story" "$RUN_DIR/shared.story"
  conclude
}

events_of() { jq -r "$2" "$MOAT_LOG_DIR/pods/default_supervised_uid-supervised/$1.jsonl"; }

what_moat_says() {
  check "the server's phases are told" equals "load serve" \
    "$(events_of server 'select(.kind == "phase") | .phase.name' | paste -sd' ')"
  check "without supervision the model's shell runs" contains <(log_of server stock) '^stdout F attempt sh_execve phase=load .* result=ok$'
  check "in enforce it does not" contains <(log_of server supervised) '^stdout F attempt sh_execve phase=load .*errno='
  check "it is a violation, and nothing honest is" equals "sh_execve load" \
    "$(events_of server 'select(.kind == "violation" or .kind == "drop") | "\(.process.comm) \(.phase.name)"')"
  check "its probe is a session" equals "1" "$(events_of server 'select(.kind == "session") | .kind' | wc -l)"
  check "nothing is refused to the container beside it" equals "" "$(events_of side 'select(.kind == "violation")')"
  check "nothing is said of a pod that is off" nothing ls "$MOAT_LOG_DIR/pods/default_off_uid-off"
}
