// The worker as a container's program: worker.h says what it does.
#include "tests/bench/cost/worker.h"

int main() {
  return moat::bench::work(0, 1);
}
