// The other roles of the shim's binary, chosen by its first argument.
#pragma once

namespace moat::shim {

// "supervisor": answers the kernel. Descriptor 3 is the socket to the shim, 4 the journal.
int supervisor_main(int argc, char** argv);

// "keeper": the last holder. 3 is the socket to the shim, 4 the journal, 5 and 6 are pidfds of the
// shim and the supervisor.
int keeper_main(int argc, char** argv);

// "transition": carries out what `load` demands inside a container's mount namespace, then exits.
int transition_main(int argc, char** argv);

// "probes": tries what supervision needs of the kernel, tells what is missing.
int probes_main();

// "settle": waits until no thread of a container is inside a call from before, tells what is open.
int settle_main(int argc, char** argv);

// "cut": ends connections that a container's new phase does not allow, then exits (cut.h).
int cut_main(int argc, char** argv);

}  // namespace moat::shim
