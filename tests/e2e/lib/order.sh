# shellcheck shell=bash
# What must be true of the order of events, whatever happens to whom.

# disorder FILE: a line for each thing in the events that cannot be.
disorder() {
  awk '
    function field(name,  i) {
      for (i = 2; i <= NF; i++) if (index($i, name "=") == 1) return substr($i, length(name) + 2)
      return ""
    }
    function bad(what) { print NR ": " what ": " $0 }
    {c = field("container")}
    $1 == "/tasks/create" {if (c in made) bad("created twice"); made[c] = 1; next}
    !(c in made) {bad("of nobody")}
    $1 == "/tasks/start" {
      if (c in begun) bad("started twice")
      if (c in ended) bad("started after its exit")
      begun[c] = field("pid")
    }
    $1 == "/tasks/exec-added" {added[c, field("exec")] = 1}
    $1 == "/tasks/exec-started" {
      e = c SUBSEP field("exec")
      if (!(e in added)) bad("never added")
      if (c in ended) bad("after the exit of init")
      if (e in running || e in over) bad("started twice")
      running[e] = field("pid"); live[c]++
    }
    $1 == "/tasks/exit" && field("id") == c {
      if (c in ended) bad("exited twice")
      if (live[c] > 0) bad("before the exits of " live[c] " execs")
      if (begun[c] != "" && begun[c] != field("pid")) bad("another pid")
      ended[c] = 1
    }
    $1 == "/tasks/exit" && field("id") != c {
      e = c SUBSEP field("id")
      if (e in over) bad("exited twice")
      if (!(e in running)) bad("before its start")
      if (running[e] != field("pid")) bad("another pid")
      over[e] = 1; live[c]--
    }
    $1 == "/tasks/exit" && field("at") !~ /^[1-9]/ {bad("no time")}
    $1 == "/tasks/delete" {
      if (!(c in ended)) bad("before its exit")
      missing(c)
      # Its name may be another one'"'"'s from now on.
      delete made[c]; delete begun[c]; delete ended[c]; delete live[c]
      for (e in added) if (index(e, c SUBSEP) == 1) {delete added[e]; delete running[e]; delete over[e]}
    }
    function missing(c,  e, p) {
      for (e in running)
        if (index(e, c SUBSEP) == 1 && !(e in over)) {split(e, p, SUBSEP); print "no exit of " c "/" p[2]}
    }
    END {
      for (c in begun) if (!(c in ended)) print "no exit of " c
      for (c in made) missing(c)
    }' "$1"
}

in_order() { nothing disorder "$RUN_DIR/events"; }

# exits CONTAINER: "ID CODE" of each, in order.
exits() {
  sed -nE "s|^/tasks/exit container=$1 id=([^ ]+) pid=[0-9]+( exit=([0-9]+))?.*|\1 \3|p" "$RUN_DIR/events" |
    sed 's/ $/ 0/'
}
