"""Files are written whole or not at all."""

import os
import stat

import pytest

from solvergen.cli import main
from solvergen.writing import compare, extras, write


def test_a_file_is_written_once(tmp_path):
    path = tmp_path / "a" / "b" / "file.py"
    assert write(path, "é\n") and path.read_bytes() == "é\n".encode()
    before = path.stat().st_mtime_ns
    assert not write(path, "é\n") and path.stat().st_mtime_ns == before
    assert write(path, "x\n") and path.read_text(encoding="utf-8") == "x\n"
    assert stat.S_IMODE(path.stat().st_mode) & 0o444 == 0o444


@pytest.mark.parametrize("failing", ["replace", "fsync", "chmod"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, failing, error):
    path = tmp_path / "file.py"
    write(path, "old\n")

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(type(error)):
        write(path, "new\n" * 1000)
    monkeypatch.undo()
    assert path.read_text(encoding="utf-8") == "old\n"
    assert os.listdir(tmp_path) == ["file.py"]


def test_an_interruption_half_way_leaves_whole_files(tmp_path, monkeypatch, capsys):
    spec = 'name = "{}"\nintegrand = "data"\n[step]\nrule = "interpolate"\nnodes = ["n"]\n'
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text(spec.format(name), encoding="utf-8")
    out, real, calls = tmp_path / "out", os.replace, []

    def interrupted(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    specs = [str(tmp_path / f"{name}.toml") for name in ("one", "two")]
    assert main(["generate", *specs, "--out", str(out)]) == 130
    assert "complete" in capsys.readouterr().err
    assert os.listdir(out) == ["one.py"]
    monkeypatch.undo()
    assert main(["generate", *specs, "--out", str(out), "--check"]) == 1
    assert "two.py: missing" in capsys.readouterr().err


def test_a_full_disk_is_an_error_message(tmp_path, monkeypatch, capsys):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device", str(tmp_path))

    monkeypatch.setattr(os, "fsync", full)
    assert main(["generate", "ddim", "--out", str(tmp_path / "out")]) == 2
    assert "No space left" in capsys.readouterr().err
    assert os.listdir(tmp_path / "out") == []


def test_compare_and_extras(tmp_path):
    path = tmp_path / "file.py"
    assert compare(path, "a\n").kind == "new"
    path.write_bytes(b"a\n")
    assert compare(path, "a\n") is None
    path.write_bytes(b"a\r\n")
    assert compare(path, "a\n").kind == "stale"
    path.write_bytes(b"\xff\n")
    assert compare(path, "a\n").kind == "stale"
    assert [change.path.name for change in extras(tmp_path, {"other.py"})] == ["file.py"]
    assert extras(tmp_path, {"file.py"}) == []
