// Calls that change folders, and one of whose paths changes meanwhile.
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "race.h"

// Not by a call that is raced: nobody shall stand in the way of it.
static void remove_file(const char* path) {
  unlinkat(AT_FDCWD, path, 0);
}

static int exists(const char* path) {
  struct stat unused;
  return lstat(path, &unused) == 0;
}

static void own_file(void) {
  if (exists("/tmp/own")) return;
  mknodat(AT_FDCWD, "/tmp/own", S_IFREG | 0600, 0);
}

static void flip_source(int bad) {
  set_argument(bad ? "/data/linked" : "/tmp/own");
}

// A hard link in an island to what lies outside it.
static struct identity linked;
static void prepare_link(void) {
  own_file();
  linked = identity_of("/data/linked");
}
static int link_out(void) {
  (void)!link(argument, "/tmp/hard");
  const struct identity made = identity_of("/tmp/hard");
  if (made.inode != 0) remove_file("/tmp/hard");
  const int won = made.inode == linked.inode && made.device == linked.device;
  return made.inode == 0 ? 0 : won ? 1 : decoy(1);
}

static void flip_rename(int bad) {
  set_argument(bad ? "/data/moved" : "/tmp/moved");
}
static int rename_in(void) {
  own_file();
  (void)!rename("/tmp/own", argument);
  if (exists("/tmp/moved")) decoy(unlinkat(AT_FDCWD, "/tmp/moved", 0) == 0);
  const int won = exists("/data/moved");
  if (won) remove_file("/data/moved");
  return won;
}

static void flip_remove(int bad) {
  set_argument(bad ? "/data/removed" : "/tmp/removed");
}
static int remove_out(void) {
  if (!exists("/tmp/removed")) mknodat(AT_FDCWD, "/tmp/removed", S_IFREG | 0600, 0);
  (void)!unlink(argument);
  decoy(!exists("/tmp/removed"));
  const int won = !exists("/data/removed");
  if (won) mknodat(AT_FDCWD, "/data/removed", S_IFREG | 0600, 0);
  return won;
}

static void flip_folder(int bad) {
  set_argument(bad ? "/data/folder" : "/tmp/folder");
}
static int make_folder(void) {
  (void)!mkdir(argument, 0700);
  if (exists("/tmp/folder")) decoy(rmdir("/tmp/folder") == 0);
  const int won = exists("/data/folder");
  if (won) rmdir("/data/folder");
  return won;
}

struct races entry_races(void) {
  static const struct race list[] = {
      {"link_out", prepare_link, flip_source, link_out, 0},
      {"rename_in", NULL, flip_rename, rename_in, 0},
      {"remove_out", NULL, flip_remove, remove_out, 0},
      {"make_folder", NULL, flip_folder, make_folder, 0},
  };
  return RACES(list);
}
