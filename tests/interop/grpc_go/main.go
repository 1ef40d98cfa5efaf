// SPDX-License-Identifier: Apache-2.0
// main.go - the server of gRPC's interop tests, by grpc-go: grpc_go [CERTIFICATE KEY].
//
// It prints the address that it listens at, and ends with its standard input. On top of what those tests ask for, a call
// with "x-fail-first: N" fails with UNAVAILABLE while it has fewer than N attempts behind it, with the value of
// "x-pushback" as push-back.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// The number in a field of the request; 0 without one.
func number(fields metadata.MD, name string) int {
	values := fields.Get(name)
	if len(values) == 0 {
		return 0
	}
	value, err := strconv.Atoi(values[0])
	if err != nil {
		log.Fatalf("%s: %v", name, err)
	}
	return value
}

func failFirst(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	fields, _ := metadata.FromIncomingContext(ctx)
	attempts := number(fields, "grpc-previous-rpc-attempts")
	if attempts >= number(fields, "x-fail-first") {
		return handler(ctx, request)
	}
	if pushback := fields.Get("x-pushback"); len(pushback) > 0 {
		if err := grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", pushback[0])); err != nil {
			return nil, err
		}
	}
	return nil, status.Errorf(codes.Unavailable, "attempt %d is not wanted", attempts)
}

func main() {
	options := []grpc.ServerOption{grpc.UnaryInterceptor(failFirst)}
	if len(os.Args) == 3 {
		papers, err := credentials.NewServerTLSFromFile(os.Args[1], os.Args[2])
		if err != nil {
			log.Fatal(err)
		}
		options = append(options, grpc.Creds(papers))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(options...)
	testgrpc.RegisterTestServiceServer(server, interop.NewTestServer())
	fmt.Println(listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	log.Fatal(server.Serve(listener))
}
