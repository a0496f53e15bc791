"""Asks a node for its health with gRPC's own health client for Python, and prints each answer as a line of JSON.

The question stands in JSON on the standard input: {"port", "ca"?, "method", "service"}, where `method` is Check, List or Watch.
A line is {"status"}, {"statuses"} by service, or {"code"} with which the call failed.
"""

import json
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

CALL_SECONDS = 60


def main():
    asked = json.load(sys.stdin)
    with open_channel(asked) as channel:
        try:
            for line in answers(health_pb2_grpc.HealthStub(channel), asked):
                print(json.dumps(line), flush=True)
        except grpc.RpcError as error:
            print(json.dumps({"code": error.code().name}), flush=True)


def open_channel(asked):
    target = f"localhost:{asked['port']}"
    if "ca" not in asked:
        return grpc.insecure_channel(target)
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(asked["ca"].encode()))


def answers(health, asked):
    name = health_pb2.HealthCheckResponse.ServingStatus.Name
    if asked["method"] == "List":
        listed = health.List(health_pb2.HealthListRequest(), timeout=CALL_SECONDS)
        yield {"statuses": {service: name(answer.status) for service, answer in listed.statuses.items()}}
        return
    answer = getattr(health, asked["method"])(
        health_pb2.HealthCheckRequest(service=asked["service"]), timeout=CALL_SECONDS
    )
    for one in answer if asked["method"] == "Watch" else [answer]:
        yield {"status": name(one.status)}


main()
