"""Makes one call with gRPC's own client for Python, and prints what came of it as JSON.

The call stands in JSON on the standard input, where its session token is no argument that others can read:
{"port", "ca"?, "token"?, "service", "method", "request", "timeout"?, "compress"?, "take"?}. `request` is a message in the JSON of
protobuf, or a list of them for a method that takes a stream; `take` is how many answers of a stream are wanted before it is
cancelled. Answers are printed as protobuf in base64.
"""

import base64
import importlib
import json
import re
import sys

import grpc
from google.protobuf.json_format import ParseDict
from google.rpc import error_details_pb2
from grpc_status import rpc_status

CALL_SECONDS = 30


def main():
    asked = json.load(sys.stdin)
    with open_channel(asked) as channel:
        try:
            outcome = {"answers": [base64.b64encode(a.SerializeToString()).decode() for a in call(channel, asked)]}
        except grpc.RpcError as error:
            outcome = {"error": describe(error)}
    json.dump(outcome, sys.stdout)


def open_channel(asked):
    target = f"localhost:{asked['port']}"
    if "ca" not in asked:
        return grpc.insecure_channel(target)
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(asked["ca"].encode()))


def call(channel, asked):
    """Makes the call, and returns its answers."""
    module = "keypears.v1." + re.sub(r"(?<!^)(?=[A-Z])", "_", asked["service"]).lower()
    stub = getattr(importlib.import_module(module + "_pb2_grpc"), asked["service"] + "Stub")(channel)
    service = importlib.import_module(module + "_pb2").DESCRIPTOR.services_by_name[asked["service"]]
    method = service.methods_by_name[asked["method"]]

    def message(value):
        return ParseDict(value, method.input_type._concrete_class())

    request = asked["request"]
    answer = getattr(stub, asked["method"])(
        iter([message(value) for value in request]) if isinstance(request, list) else message(request),
        timeout=asked.get("timeout", CALL_SECONDS),
        metadata=[("authorization", f"Bearer {asked['token']}")] if "token" in asked else [],
        compression=grpc.Compression.Gzip if asked.get("compress") else grpc.Compression.NoCompression,
    )
    return take(answer, asked.get("take")) if method.server_streaming else [answer]


def take(stream, wanted):
    answers = []
    for answer in stream:
        # What only keeps the connection alive is no event.
        if answer.WhichOneof("event") is not None:
            answers.append(answer)
        if len(answers) == wanted:
            stream.cancel()
            break
    return answers


def describe(error):
    """What a call failed with, and what grpc-status-details-bin says of it."""
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    infos = [detail for detail in (status.details if status else []) if detail.Unpack(info)]
    return {
        "code": error.code().name,
        "message": error.details(),
        "reasons": [{"reason": info.reason, "domain": info.domain} for _ in infos],
    }


main()
