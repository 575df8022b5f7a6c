// The Task service's messages from and to words of a test script.
#pragma once

#include <map>
#include <string>

#include "policies/result.h"

namespace moat::tests {

using Fields = std::map<std::string, std::string>;

// The request of a method from `key=value` words; a value @FILE is the file's text. A method nobody
// knows has an empty request.
Result<std::string> encode_task_request(const std::string& method, Fields fields);

// What an answer says, field by field as `name=value`; what is absent on the wire is absent here.
std::string describe_task_response(const std::string& method, const std::string& payload);

}  // namespace moat::tests
