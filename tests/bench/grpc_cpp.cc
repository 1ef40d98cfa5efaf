// SPDX-License-Identifier: Apache-2.0
// grpc_cpp.cc - unary calls by gRPC C++, as its generated stubs make them: TARGET METHOD MESSAGE_FILE CALLS IN_FLIGHT.
// In flight 0: one blocking call after the other; else a completion queue on one thread. Prints the microseconds of
// this process's CPU (user and system) a call, and calls a second, as one JSON object.
#include <fstream>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/client_unary_call.h>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <time.h>

namespace
{

struct call {
    std::unique_ptr<grpc::ClientContext> context;
    std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
    grpc::ByteBuffer response;
    grpc::Status status;
};

double cpu_now()
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

double time_now()
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

grpc::ByteBuffer read_message(const char *path)
{
    std::ifstream file(path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    grpc::Slice slice(bytes);
    return grpc::ByteBuffer(&slice, 1);
}

void check(const grpc::Status &status)
{
    if (!status.ok()) {
        std::cerr << status.error_code() << ": " << status.error_message() << "\n";
        std::exit(1);
    }
}

void block(const std::shared_ptr<grpc::Channel> &channel, const std::string &method, const grpc::ByteBuffer &message,
           int calls)
{
    const grpc::internal::RpcMethod rpc(method.c_str(), grpc::internal::RpcMethod::NORMAL_RPC, channel);
    for (int i = 0; i < calls; i++) {
        grpc::ClientContext context;
        grpc::ByteBuffer response;
        check(grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(channel.get(), rpc, &context,
                                                                                    message, &response));
    }
}

void start(grpc::GenericStub &stub, grpc::CompletionQueue &queue, const std::string &method,
           const grpc::ByteBuffer &message)
{
    auto *call = new struct call;
    call->context.reset(new grpc::ClientContext);
    call->reader = stub.PrepareUnaryCall(call->context.get(), method, message, &queue);
    call->reader->StartCall();
    call->reader->Finish(&call->response, &call->status, call);
}

void fly(const std::shared_ptr<grpc::Channel> &channel, const std::string &method, const grpc::ByteBuffer &message,
         int calls, int in_flight)
{
    grpc::GenericStub stub(channel);
    grpc::CompletionQueue queue;
    int started = 0;
    for (int ended = 0; ended < calls; ended++) {
        for (; started < calls && started - ended < in_flight; started++)
            start(stub, queue, method, message);
        void *tag;
        bool ok;
        if (!queue.Next(&tag, &ok))
            std::exit(1);
        std::unique_ptr<call> done(static_cast<call *>(tag));
        check(done->status);
    }
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 6)
        return 2;
    const auto channel = grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials());
    const grpc::ByteBuffer message = read_message(argv[3]);
    const int calls = std::stoi(argv[4]), in_flight = std::stoi(argv[5]);
    block(channel, argv[2], message, 100);
    const double cpu = cpu_now(), time = time_now();
    if (in_flight == 0)
        block(channel, argv[2], message, calls);
    else
        fly(channel, argv[2], message, calls, in_flight);
    std::cout << "{\"cpu_us\": " << (cpu_now() - cpu) / calls << ", \"rps\": " << calls * 1e6 / (time_now() - time)
              << "}\n";
    return 0;
}
