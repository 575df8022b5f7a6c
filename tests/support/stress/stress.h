// A workload for the times when moat's own processes are in trouble.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moat::stress {

using Words = std::vector<std::string>;

std::int64_t now_us();
void say(const char* format, ...) __attribute__((format(printf, 1, 2)));
bool begin_load();              // opens the artifact: from here on untrusted bytes are in
extern volatile bool stopping;  // SIGTERM came
extern volatile bool asked;     // SIGUSR1 came

// What no phase after init allows; each 0 if it succeeded, else the errno. None needs the network.
int create_file();    // a notification, and the mount
int start_program();  // a notification, and fanotify
int read_secret();    // fanotify alone
int move_file();      // a notification, and the mount
using Attempt = int (*)();
inline constexpr Attempt kAttempts[] = {create_file, start_program, read_secret, move_file};

// What every phase allows, and a supervisor is asked about: 0 or the errno.
int open_scratch(const std::string& name);

int mixed(const Words& words);
int bomb();
int descriptors(unsigned threads);
int recycle(unsigned seconds);

}  // namespace moat::stress
