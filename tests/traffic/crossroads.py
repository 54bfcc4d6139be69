"""Small signal worlds: nets that sumo-rl carries, with installed plans made bad on purpose."""

from importlib.util import find_spec
from pathlib import Path

NETS = Path(find_spec("sumo_rl").submodule_search_locations[0]) / "nets"
SINGLE = NETS / "single-intersection" / "single-intersection.net.xml"
GRID = NETS / "2x2grid" / "2x2.net.xml"

ONE_SIGNAL = """<net version="1.20" junctionCornerDetail="5" limitTurnSpeed="5.50">
  <edge id=":c_c0" function="crossing" crossingEdges="n"><lane id=":c_c0_0" index="0" allow="pedestrian" speed="1" length="21.40"/></edge>
  <edge id=":c_w0" function="walkingarea"><lane id=":c_w0_0" index="0" allow="pedestrian" speed="1" length="2"/></edge>
  <edge id="n" from="N" to="c" name="Lê Lợi"><lane id="n_0" index="0" speed="14" length="90" width="3.5"/>
    <lane id="n_1" index="1" speed="14" length="90" width="3.5"/><lane id="n_2" allow="pedestrian" index="2" speed="1" length="90" width="2"/></edge>
  <edge id="s" from="c" to="N" name="Lê Lợi"><lane id="s_0" index="0" speed="14" length="90" width="3.0"/></edge>
  <edge id="w" from="W" to="c" name="Hàm Nghi"><lane id="w_0" index="0" speed="14" length="90"/></edge>
  <edge id="e" from="c" to="E" name="Hàm Nghi"><lane id="e_0" index="0" speed="14" length="90"/></edge>
  <tlLogic id="c" type="static" programID="0" offset="5">{phases}</tlLogic>
  <connection from="n" to="s" fromLane="0" toLane="0" tl="c" linkIndex="0" dir="s"/>
  <connection from="w" to="e" fromLane="0" toLane="0" tl="c" linkIndex="1" dir="s"/>
  {crossing}
</net>
"""
CROSSING = '<connection from=":c_w0" to=":c_c0" fromLane="0" toLane="0" tl="c" linkIndex="2" dir="s"/>'


def phases(*rows):
    return "".join(f'<phase duration="{length}" state="{state}"/>' for state, length in rows)


def one_signal(path, *rows, crossing=False):
    """A net with one signal; letters: road from the north, road from the west, crossing of the north road."""
    path.write_text(
        ONE_SIGNAL.format(phases=phases(*rows), crossing=CROSSING if crossing else ""), encoding="utf-8"
    )
    return path


def with_plan(net, out, greens):
    """A copy of a net in which the greens of each signal are replaced in turn (phases of 10 s and more)."""
    import re

    def logic(match):
        turn = iter(greens)
        return re.sub(
            r'duration="(\d+)"', lambda m: f'duration="{next(turn) if int(m[1]) >= 10 else m[1]}"', match[0]
        )

    text = re.sub(r"<tlLogic.*?</tlLogic>", logic, net.read_text(encoding="utf-8"), flags=re.DOTALL)
    out.write_text(text, encoding="utf-8")
    return out


def flows(path, *rows, end=300):
    """Routes with a flow a row: edges, vehicles per hour."""
    lines = [
        f'<flow id="f{n}" begin="0" end="{end}" vehsPerHour="{rate}" departSpeed="max"><route edges="{edges}"/></flow>'
        for n, (edges, rate) in enumerate(rows)
    ]
    path.write_text("<routes>" + "".join(lines) + "</routes>", encoding="utf-8")
    return path
