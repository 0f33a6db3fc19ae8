"""What schemathesis must be told about the API: how to send media types that it does not know."""

import schemathesis


@schemathesis.serializer("application/offset+octet-stream", "application/onnx", "application/gzip", "application/zip", "application/x-tar")
def as_bytes(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode()
