"""Serves simulated providers to Terraform, which is told by an environment variable where they are."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from tests.terraform.simulated.messages import message_class
from tests.terraform.simulated.project import Project
from tests.terraform.simulated.provider import SimulatedProvider
from tests.terraform.simulated.schema import ProviderSchema


@contextmanager
def serving(schemas: Iterable[ProviderSchema], folder: Path, project: Project) -> Iterator[str]:
    """Serves a Terraform that works in `folder`. Gives the value of TF_REATTACH_PROVIDERS."""
    providers: dict[str, Any] = {}
    servers: list[grpc.Server] = []
    # Not in `folder`: the path of a socket may not be long.
    sockets = tempfile.TemporaryDirectory(prefix="tf-")
    try:
        for schema in schemas:
            socket = Path(sockets.name) / f"{schema.source.rsplit('/', 1)[1]}.sock"
            servers.append(_serve(SimulatedProvider(schema, folder, project), f"unix://{socket}"))
            providers[schema.source] = {
                "Protocol": "grpc",
                "ProtocolVersion": 6,
                "Pid": os.getpid(),
                "Test": True,
                "Addr": {"Network": "unix", "String": str(socket)},
            }
        yield json.dumps(providers)
    finally:
        for server in servers:
            server.stop(None).wait()
        sockets.cleanup()


def _serve(provider: SimulatedProvider, address: str) -> grpc.Server:
    unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(8), options=unlimited)
    methods = {name: _method(request, answer) for name, (request, answer) in provider.methods().items()}
    # What Terraform's plugin library asks besides: it waits for the second to end.
    streams: dict[str, Any] = {"StreamStdio": grpc.unary_stream_rpc_method_handler(lambda _, __: iter(()))}
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler("tfplugin6.Provider", methods),
            grpc.method_handlers_generic_handler("plugin.GRPCStdio", streams),
        )
    )
    server.add_insecure_port(address)
    server.start()
    return server


def _method(request: str, answer: Callable[[Any], Any]) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        lambda read, _: answer(read),
        request_deserializer=message_class(request).FromString,
        response_serializer=lambda given: given if isinstance(given, bytes) else given.SerializeToString(),
    )
