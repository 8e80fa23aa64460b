"""Aerial-like scenes drawn by program, with captions that are true of them: data for demonstrations and tests.

generate   `generate_scenes`, `write_scenes`
kinds      `KINDS`: what there is, what varies, who paints it
facts      what one scene shows, fixed before it is drawn
grammar    facts → five captions
transport, water, built, green   painters, one function per kind
parts      trees, houses, cars, planes, boats, roads, what lies beside
canvas     ground units → pixels; texture: surfaces

To add a kind: write a painter that draws ``facts.n`` things and heeds colour, ground and beside; list it in `KINDS`;
raise `generate.VERSION`.
"""

from rshash.data.scenes.generate import SceneDataset, generate_scenes, write_scenes
from rshash.data.scenes.kinds import KINDS

__all__ = ["KINDS", "SceneDataset", "generate_scenes", "write_scenes"]
