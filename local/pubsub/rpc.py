"""gRPC without generated servicers: the message types themselves bring both serializers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import Message

from local.pubsub.errors import StatusError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Handler = grpc.RpcMethodHandler[Any, Any]


def service(name: str, methods: dict[str, Handler]) -> grpc.GenericRpcHandler:
    """Methods that are not among these are answered with UNIMPLEMENTED."""
    return grpc.method_handlers_generic_handler(f"google.pubsub.v1.{name}", methods)


def unary(function: Callable[[Any], Any], request: type[Any]) -> Handler:
    """Returns a method that needs its request alone."""
    return unary_in_context(lambda message, _context: function(message), request)


def unary_in_context(function: Callable[[Any, grpc.ServicerContext], Any], request: type[Any]) -> Handler:
    """Returns a method that also watches whether its caller is still there."""

    def call(message: Any, context: grpc.ServicerContext) -> Any:
        try:
            return function(message, context)
        except StatusError as error:
            context.abort(error.code, str(error))

    return grpc.unary_unary_rpc_method_handler(call, request.deserialize, _serialize)


def stream(function: Callable[[Iterator[Any], grpc.ServicerContext], Iterator[Any]], request: type[Any]) -> Handler:
    """Returns a method with a stream in each direction."""

    def call(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            yield from function(requests, context)
        except StatusError as error:
            context.abort(error.code, str(error))

    return grpc.stream_stream_rpc_method_handler(call, request.deserialize, _serialize)


def _serialize(message: Any) -> bytes:
    # Empty is the one answer that comes as a plain protobuf message.
    if isinstance(message, Message):
        return message.SerializeToString()
    return bytes(type(message).serialize(message))
