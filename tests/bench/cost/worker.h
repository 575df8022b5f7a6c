// The program whose calls are measured: in a container, or under a bare loop. It times itself, so
// that nothing but the calls is in a figure.
//
// Orders come as lines, and each is answered by one:
//
//   load                reads /models/model.bin, listens: a container is then on its way to `serve`
//   signal N            socket() of a stream, which then fails: registers alone decide, allowed
//   refused N           the same of datagrams: registers alone decide, refused by moat
//   write N             open for writing and close, of a file in /tmp: its path is read
//   read N              open for reading and close, of a small file of the image
//   connect N           to a listening socket of its own; only connect() is timed
//   waits MS THREADS    for so long, as many threads ask as `signal` does
//
// Answers: "ok"; nanoseconds of all N; "answered", and when each call returned that succeeded after
// more than a millisecond (CLOCK_MONOTONIC, nanoseconds).
#pragma once

namespace moat::bench {

int work(int in, int out);

}  // namespace moat::bench
