"""The formats, one module each: bytes in, a document out; none of them opens a file."""
