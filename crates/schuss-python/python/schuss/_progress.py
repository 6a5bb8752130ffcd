"""How far a training is: a bar in a terminal or a notebook, lines elsewhere."""

import sys
import time

_OFTEN = 0.1
_WIDTH = 24


class Progress:
    """Shows epochs as they end, at most ten times a second; nothing unless it is asked for."""

    def __init__(self, verbose, total):
        self.total = total
        self._last = 0.0
        self._text = None
        if not verbose:
            self._show = None
        elif _is_notebook():
            self._show, self._handle = self._in_notebook, None
        elif sys.stdout.isatty():
            self._show = self._in_terminal
        else:
            self._show = self._in_lines

    def __enter__(self):
        return self

    def epoch(self, number, text):
        """An epoch, counted from 1, is over."""
        if self._show is None:
            return
        self._text = (number, text)
        now = time.monotonic()
        # A log has every epoch.
        if self._show == self._in_lines or number == self.total or now - self._last >= _OFTEN:
            self._last = now
            self._show(number, text)

    def say(self, text):
        """A remark."""
        if self._show is not None:
            self.__exit__()
            print(text)

    def __exit__(self, *_):
        if self._show == self._in_terminal and self._text:
            self._show(*self._text)
            print(flush=True)
        elif self._show == self._in_notebook and self._text:
            self._show(*self._text)
        self._text = None

    def _in_lines(self, number, text):
        print(f"Iteration {number}, {text}", flush=True)

    def _in_terminal(self, number, text):
        done = min(_WIDTH, _WIDTH * number // max(self.total, 1))
        bar = "█" * done + "░" * (_WIDTH - done)
        print(f"\r\x1b[K{bar} {number}/{self.total} {text}", end="", flush=True)

    def _in_notebook(self, number, text):
        from IPython.display import HTML, display

        page = HTML(f'<progress max="{self.total}" value="{number}"></progress> {number}/{self.total} {text}')
        if self._handle is None:
            self._handle = display(page, display_id=True)
        else:
            self._handle.update(page)


def _is_notebook():
    # Only a program that runs in IPython has imported it.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return type(shell).__name__ == "ZMQInteractiveShell"
