"""Wait for the end of a process, then kill a server and remove its folder.

Usage: `python stop_with.py PROCESS SERVER FOLDER`.
"""

import contextlib
import shutil
import sys

import psutil

PATIENCE_S = 5


def main() -> None:
    process, server, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    running: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        running.append(psutil.Process(server))
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(process).wait()
    for one in list(running):
        with contextlib.suppress(psutil.NoSuchProcess):
            running += one.children(recursive=True)
            one.terminate()
    _, alive = psutil.wait_procs(running, PATIENCE_S)
    for one in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
