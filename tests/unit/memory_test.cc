#include "oci/memory.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "oci/sys.h"

namespace moat::oci {

namespace {

// Pages of files that are mapped into us: the third number of statm.
long resident_of_files() {
  const auto text = read_file("/proc/self/statm");
  long size = 0, resident = 0, shared = 0;
  if (text) (void)std::sscanf(text->c_str(), "%ld %ld %ld", &size, &resident, &shared);
  return shared;
}

std::string changed = "what relocation and start-up wrote";

}  // namespace

TEST(Memory, LettingGoUnmapsCodeAndKeepsEverythingThatWasWritten) {
  changed += ", and what was added";
  const std::string on_heap(100000, 'x');
  const long before = resident_of_files();
  let_go_of_memory();
  EXPECT_LT(resident_of_files(), before / 2);
  EXPECT_EQ(changed, "what relocation and start-up wrote, and what was added");
  EXPECT_EQ(on_heap, std::string(100000, 'x'));
}

TEST(Memory, CodeThatWasLetGoOfRunsAgain) {
  for (int i = 0; i < 3; ++i) {
    let_go_of_memory();
    EXPECT_EQ(std::to_string(i) + " " + env_or("MOAT_NO_SUCH_VARIABLE", "fallback"),
              std::to_string(i) + " fallback");
  }
}

}  // namespace moat::oci
