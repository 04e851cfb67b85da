"""How the tests look at processes: theirs must not be called dead before they are."""

import subprocess
import sys

import psutil

from harness.processes import alive, wait_until

LEADER_ENDS = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).pthread_exit(None)  # this thread alone: the process is a zombie with a thread that lives
"""


class TestAlive:
    def test_a_zombie_whose_threads_still_run_is_alive(self) -> None:
        with subprocess.Popen([sys.executable, "-c", LEADER_ENDS]) as child:
            process = psutil.Process(child.pid)
            wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE, 10, "the main thread has ended")
            assert alive([process]) == [process]
            process.kill()
            wait_until(lambda: not alive([process]), 10, "nothing of it is left")
            assert process.status() == psutil.STATUS_ZOMBIE  # nobody has reaped it
