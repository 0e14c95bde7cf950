"""The command as people start it: a process that answers on a port, and ends when it is told to."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from serve import data_set


@pytest.fixture
def port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_it_answers_without_java_until_it_is_stopped(tmp_path, port):
    data_set.write(tmp_path)
    command = [sys.executable, "-m", "movie_recs", "serve", "--data-dir", str(tmp_path), "--port", str(port)]
    service = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as response:
                    health = json.load(response)
                break
            except OSError:
                assert service.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert health["dataset"] == "small"
        if sys.platform.startswith("linux"):
            assert Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text() == ""
    finally:
        service.send_signal(signal.SIGTERM)
        _, log = service.communicate(timeout=30)
    assert f"Serving small at http://127.0.0.1:{port}" in log
    assert "Traceback" not in log


def test_without_models_it_ends_with_a_sentence(tmp_path):
    command = [sys.executable, "-m", "movie_recs", "serve", "--data-dir", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: Which data set? In ")
