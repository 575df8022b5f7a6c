// Speaks the kubelet's side of the runtime interface, for tests of whole pods.
//
//   cri_call SOCKET METHOD [JSON [SECONDS]]
//
// The method is looked up in support/proto/cri.proto, the request is its message in JSON; each
// answer is a line of JSON, of which a stream may have many until SECONDS are over. Exits 0, or
// prints "CODE: text" on standard error and exits 1; 2 is a mistake of the caller's.
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

namespace moat::test {

namespace {

namespace pb = google::protobuf;

constexpr int kRefused = 1;
constexpr int kUsage = 2;

// A tag is only told from another one where two operations are under way; here each is waited for.
class Steps {
 public:
  ~Steps() {
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }
  grpc::CompletionQueue* queue() { return &queue_; }
  void* tag() { return this; }
  bool done() {
    void* tag = nullptr;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

 private:
  grpc::CompletionQueue queue_;
};

struct Call {
  std::string socket;
  const pb::MethodDescriptor* method = nullptr;
  std::string request;
  std::chrono::milliseconds deadline{60000};
};

std::string bytes_of(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices)
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

void print(const std::string& bytes, pb::Message* message) {
  pb::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  if (message->ParseFromString(bytes) &&
      pb::util::MessageToJsonString(*message, &json, options).ok())
    std::cout << json << std::endl;
}

// A unary method is a stream with one answer, so that there is one way to call.
grpc::Status perform(const Call& call, pb::Message* answer) {
  grpc::GenericStub stub(
      grpc::CreateChannel("unix://" + call.socket, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + call.deadline);
  Steps steps;
  const std::string name = "/" + call.method->service()->full_name() + "/" + call.method->name();
  const auto stream = stub.PrepareCall(&context, name, steps.queue());
  stream->StartCall(steps.tag());
  bool alive = steps.done();
  if (alive) {
    const grpc::Slice slice(call.request);
    stream->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), steps.tag());
    alive = steps.done();
  }
  while (alive) {
    grpc::ByteBuffer buffer;
    stream->Read(&buffer, steps.tag());
    alive = steps.done();
    if (alive) print(bytes_of(buffer), answer);
  }
  grpc::Status status;
  stream->Finish(&status, steps.tag());
  steps.done();
  return status;
}

const char* name_of(grpc::StatusCode code) {
  static constexpr const char* kNames[] = {
      "Ok",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
      "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
      "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
      "DataLoss", "Unauthenticated"};
  const auto index = static_cast<std::size_t>(code);
  return index < std::size(kNames) ? kNames[index] : "?";
}

int fail(const std::string& text, int status) {
  std::cerr << text << "\n";
  return status;
}

}  // namespace

int run(const std::vector<std::string>& arguments) {
  if (arguments.size() < 2 || arguments.size() > 4)
    return fail("usage: cri_call SOCKET METHOD [JSON [SECONDS]]", kUsage);
  std::ifstream described(MOAT_TEST_CRI, std::ios::binary);
  pb::FileDescriptorSet files;
  if (!files.ParseFromIstream(&described)) return fail("cannot read " MOAT_TEST_CRI, kUsage);
  pb::DescriptorPool pool;
  const pb::FileDescriptor* file = pool.BuildFile(files.file(0));
  if (file == nullptr) return fail("unusable: " MOAT_TEST_CRI, kUsage);
  Call call;
  call.socket = arguments[0];
  call.method = file->FindServiceByName("RuntimeService")->FindMethodByName(arguments[1]);
  if (call.method == nullptr) return fail("no method " + arguments[1] + " in cri.proto", kUsage);

  pb::DynamicMessageFactory factory;
  const std::unique_ptr<pb::Message> request(
      factory.GetPrototype(call.method->input_type())->New());
  const auto parsed =
      pb::util::JsonStringToMessage(arguments.size() > 2 ? arguments[2] : "{}", request.get());
  if (!parsed.ok()) return fail(std::string(parsed.message()), kUsage);
  call.request = request->SerializeAsString();
  if (arguments.size() > 3)
    call.deadline = std::chrono::seconds(std::strtol(arguments[3].c_str(), nullptr, 10));

  const std::unique_ptr<pb::Message> answer(
      factory.GetPrototype(call.method->output_type())->New());
  const grpc::Status status = perform(call, answer.get());
  // How a stream ends that is listened to for a time.
  if (call.method->server_streaming() && status.error_code() == grpc::DEADLINE_EXCEEDED) return 0;
  if (!status.ok())
    return fail(std::string(name_of(status.error_code())) + ": " + status.error_message(),
                kRefused);
  return 0;
}

}  // namespace moat::test

int main(int argc, char** argv) {
  return moat::test::run(std::vector<std::string>(argv + 1, argv + argc));
}
