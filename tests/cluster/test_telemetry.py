"""Logs and progress: on standard error, without secrets, plain where nobody watches."""

import io
import json
import logging
import subprocess
import sys

import pytest

from cluster import telemetry


@pytest.fixture(autouse=True)
def _restored_logging(monkeypatch):
    monkeypatch.delenv("NUNATAK_LOG", raising=False)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in telemetry.OUR_PACKAGES}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, former in levels.items():
        logging.getLogger(name).setLevel(former)


class TestLogs:
    def test_a_plain_line_has_time_level_origin_and_message(self, capsys):
        telemetry.configure_logging()
        logging.getLogger("cluster.test").info("%d months", 60)
        captured = capsys.readouterr()
        assert captured.out == ""
        line = captured.err.strip()
        assert line.endswith("Z INFO cluster.test: 60 months")
        assert "\n" not in line

    def test_json_lines_hold_the_extra_fields(self, capsys, monkeypatch):
        monkeypatch.setenv("NUNATAK_LOG", "json")
        telemetry.configure_logging()
        logging.getLogger("pipelines.x").warning("done", extra={"key": "2011-02", "seconds": 0.5})
        entry = json.loads(capsys.readouterr().err)
        assert entry["level"] == "warning"
        assert entry["logger"] == "pipelines.x"
        assert entry["message"] == "done"
        assert entry["key"] == "2011-02"
        assert entry["seconds"] == 0.5

    @pytest.mark.parametrize("structured", [True, False])
    def test_secrets_reach_neither_message_nor_fields_nor_traceback(
        self, capsys, monkeypatch, structured
    ):
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
        telemetry.configure_logging(json=structured)
        try:
            raise ValueError("signed with wJalrXUtnFEMI")  # noqa: TRY301
        except ValueError:
            logging.getLogger("cluster").exception(
                "tried wJalrXUtnFEMI", extra={"api_key": "abc", "url": "http://a:b@c/"}
            )
        text = capsys.readouterr().err
        assert "wJalrXUtnFEMI" not in text
        assert "a:b@c" not in text
        assert "abc" not in text
        assert "ValueError" in text

    def test_json_survives_what_it_cannot_serialise_and_keeps_one_line(self, capsys):
        telemetry.configure_logging(json=True)
        logging.getLogger("stac").info("two\nlines", extra={"thing": object(), "count": None})
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert json.loads(lines[0])["message"] == "two\nlines"

    def test_configuring_twice_does_not_say_everything_twice(self, capsys):
        telemetry.configure_logging()
        telemetry.configure_logging(json=False)
        logging.getLogger("cluster").info("once")
        assert capsys.readouterr().err.count("once") == 1

    def test_libraries_speak_from_warnings_upwards_and_dask_from_errors(self, capsys):
        telemetry.configure_logging()
        for name in ("botocore", "distributed.nanny"):
            library = logging.getLogger(name)
            library.info("%s chatters", name)
            library.warning("%s warns", name)
            library.error("%s fails", name)
        text = capsys.readouterr().err
        assert "chatters" not in text
        assert "botocore warns" in text
        assert "distributed.nanny warns" not in text
        assert "distributed.nanny fails" in text


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestProgress:
    def test_away_from_a_terminal_it_is_plain_lines_with_one_at_the_end(self, capsys):
        telemetry.configure_logging()
        with telemetry.progress(3, "fit trends", every=3600.0) as bar:
            for key in ("2011-02", "2011-03", "2011-04"):
                bar.advance(note=key)
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.splitlines() == [captured.err.strip()]
        assert "fit trends: 3 of 3 in 0 s, 2011-04" in captured.err

    def test_lines_come_no_more_often_than_asked(self, capsys, monkeypatch):
        clock = iter([float(second) for second in range(100)])
        monkeypatch.setattr(telemetry.time, "monotonic", lambda: next(clock))
        telemetry.configure_logging()
        with telemetry.progress(20, "read", every=4.0) as bar:
            for _ in range(20):
                bar.advance()
        lines = capsys.readouterr().err.splitlines()
        assert 2 < len(lines) <= 7
        assert "20 of 20" in lines[-1]

    def test_the_end_is_told_once(self, capsys):
        telemetry.configure_logging()
        with telemetry.progress(2, "read", every=0.0) as bar:
            bar.advance()
            bar.advance()
        assert [line.split(": ")[-1][:6] for line in capsys.readouterr().err.splitlines()] == [
            "1 of 2", "2 of 2",
        ]  # fmt: skip

    def test_an_error_still_says_how_far_it_came(self, capsys):
        telemetry.configure_logging()

        def interrupted() -> None:
            with telemetry.progress(9, "read") as bar:
                bar.advance(4)
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert "read: 4 of 9" in capsys.readouterr().err

    def test_json_lines_carry_the_numbers(self, capsys):
        telemetry.configure_logging(json=True)
        with telemetry.progress(2, "read") as bar:
            bar.advance(2)
        entry = json.loads(capsys.readouterr().err)
        assert (entry["done"], entry["total"]) == (2, 2)

    def test_on_a_terminal_it_is_a_bar_on_standard_error(self, capsys, monkeypatch):
        terminal = _Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        with telemetry.progress(2, "read months") as bar:
            bar.advance(note="[2011-02]")
            bar.advance()
        text = terminal.getvalue()
        assert "read months" in text
        assert "2/2" in text
        assert "[2011-02]" in text
        assert capsys.readouterr().out == ""

    def test_nothing_reaches_standard_output_of_a_whole_process(self):
        program = (
            "import logging\n"
            "from cluster import telemetry\n"
            "telemetry.configure_logging()\n"
            "logging.getLogger('pipelines').info('said')\n"
            "with telemetry.progress(1, 'work') as bar: bar.advance()\n"
        )
        run = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert run.stdout == ""
        assert len(run.stderr.splitlines()) == 2
