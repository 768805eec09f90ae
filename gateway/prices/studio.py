"""Draws faces off the event loop and keeps them, so that a wave is ready before its instant and a retry costs nothing.

Pixels and refusals come from `face.py`; who wants which face is `labels.py`.
"""

import asyncio
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from gateway.errors import Refused
from gateway.prices.face import draw_many
from gateway.prices.face_content import Content, Panel, Style

FACES_KEPT = 32_768  # compressed, about 1 kB each

Job = tuple[Content, Panel, Style]
Draw = Callable[[Sequence[Job]], list[bytes | Refused]]


class Studio:
    """A cache in front of the renderer."""

    def __init__(self, style: Style, draw: Draw = draw_many, *, in_thread: bool = True) -> None:
        self._style, self._draw, self._in_thread = style, draw, in_thread
        self._turn = asyncio.Lock()
        self._faces: OrderedDict[tuple[str, Panel], bytes | Refused] = OrderedDict()

    async def drawn(self, wanted: Sequence[tuple[Content, Panel]]) -> list[bytes | Refused]:
        """Return the pixels of each face without revision mark, or the reason why there are none.

        One call draws at a time: staging and pushing want the same faces, the second finds them ready.
        """
        async with self._turn:
            if self._in_thread:
                return await asyncio.to_thread(self._drawn, wanted)
            return self._drawn(wanted)

    def _drawn(self, wanted: Sequence[tuple[Content, Panel]]) -> list[bytes | Refused]:
        ready = {key: self._kept(key) for c, p in wanted if (key := (c.key, p)) in self._faces}
        missing = {(c.key, p): (c, p, self._style) for c, p in wanted if (c.key, p) not in ready}
        if missing:
            faces = self._draw(list(missing.values()))
            ready.update(zip(missing, faces, strict=True))
            self._keep(zip(missing, faces, strict=True))
        return [ready[c.key, p] for c, p in wanted]

    def _keep(self, faces: Iterable[tuple[tuple[str, Panel], bytes | Refused]]) -> None:
        for key, face in faces:
            self._faces[key] = face if isinstance(face, Refused) else zlib.compress(face, 1)
        while len(self._faces) > FACES_KEPT:
            self._faces.popitem(last=False)

    def _kept(self, key: tuple[str, Panel]) -> bytes | Refused:
        face = self._faces[key]
        self._faces.move_to_end(key)
        return face if isinstance(face, Refused) else zlib.decompress(face)
