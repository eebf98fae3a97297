"""Join the faces of a video to people, by position and size from frame to frame."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import permutations

Box = tuple[int, int, int, int]

# maximum cost (in face sizes) from one frame to the next; people side by side are about two apart
MAX_COST = 1.5
# maximum cost from the end of one track to the start of another for joining them
MAX_APART = 3.0
# steps between frames over which a person's speed is measured
MOVES = 3

# minimum number or share of frames for a person to count, so that false detections do not
MIN_FRAMES = 3
MIN_SHARE = 0.25


@dataclass(frozen=True)
class Spot:
    """Position of a face: the number of its frame, its centre, and its size (the root of its area), in pixels."""

    frame: int
    x: float
    y: float
    size: float


@dataclass
class Track:
    """The spots of one person in order of frames, and the (frame, face) of each."""

    spots: list[Spot] = field(default_factory=list)
    faces: list[tuple[int, int]] = field(default_factory=list)

    def ahead(self, frame: int) -> Spot:
        """Extrapolate the person's position to a frame at its latest speed."""
        first, last = self.spots[-1 - MOVES :][0], self.spots[-1]
        share = (frame - last.frame) / max(1, last.frame - first.frame)
        return Spot(frame, last.x + share * (last.x - first.x), last.y + share * (last.y - first.y), last.size)

    def cost(self, spot: Spot) -> float:
        """Return the cost of adding a face: its distance in face sizes plus the size difference in doublings.

        The cost is the lower one of those from the person's last and extrapolated position: some sit, some walk.
        """
        return min(_difference(self.spots[-1], spot), _difference(self.ahead(spot.frame), spot))


def _difference(one: Spot, other: Spot) -> float:
    distance = math.hypot(one.x - other.x, one.y - other.y)
    return 2 * distance / (one.size + other.size) + abs(math.log2(one.size / other.size))


def join_people(faces: Sequence[Sequence[Box]], shots: Sequence[int] | None = None) -> list[list[int]]:
    """Return the person's number of each face, from the boxes (x, y, width, height) in each frame of a video.

    `shots` are the numbers of the frames' shots from `find_shots`; people are not joined across shots.

    Person 0 has the most faces; ties go to the earliest, then the leftmost. A person has at most one face per frame.
    Faces seen once are matched last, so that a false detection never takes over a person (as tentative tracks in Wojke
    et al. 2017, Simple Online and Realtime Tracking with a Deep Association Metric).
    """
    shots = shots or [0] * len(faces)
    tracks = [track for shot in sorted(set(shots)) for track in _tracks(faces, [at == shot for at in shots])]
    tracks.sort(key=lambda track: (-len(track.faces), track.spots[0].frame, track.spots[0].x))
    person = {face: number for number, track in enumerate(tracks) for face in track.faces}
    return [[person[frame, face] for face in range(len(boxes))] for frame, boxes in enumerate(faces)]


def count_people(faces: Iterable[tuple[int, str]]) -> int | None:
    """Count the people in enough frames of a video, from each face's (frame, person); None if no person is known."""
    faces = set(faces)
    return len(people_who_count(faces)) if any(person for _, person in faces) else None


def people_who_count(faces: Iterable[tuple[int, str]]) -> set[str]:
    """Return the people in enough frames of a video to count, from the (frame, person) of each face."""
    faces = set(faces)
    least = least_frames(len({frame for frame, _ in faces}))
    return {person for person, count in Counter(person for _, person in faces if person).items() if count >= least}


def least_frames(frames: int) -> float:
    """Return the minimum number of frames for a person to count, given the video's number of frames."""
    return min(MIN_FRAMES, MIN_SHARE * frames)


def _tracks(faces: Sequence[Sequence[Box]], there: Sequence[bool]) -> list[Track]:
    """Return the tracks through the frames that are `there`."""
    tracks: list[Track] = []
    for frame, boxes in enumerate(faces):
        spots = {(frame, face): _spot(frame, box) for face, box in enumerate(boxes) if there[frame]}
        seen_often = [track for track in tracks if len(track.spots) > 1]
        seen_once = [track for track in tracks if len(track.spots) == 1]
        left = _extend(seen_once, _extend(seen_often, spots))
        tracks += [Track([spot], [face]) for face, spot in left.items()]
    return _merge(tracks)


def _spot(frame: int, box: Box) -> Spot:
    x, y, width, height = box
    return Spot(frame, x + width / 2, y + height / 2, math.sqrt(width * height))


def _extend(tracks: list[Track], spots: dict[tuple[int, int], Spot]) -> dict[tuple[int, int], Spot]:
    """Assign the spots of a frame to tracks at the lowest total cost; returns the spots left over."""
    faces = list(spots)
    costs = [[min(track.cost(spots[face]), MAX_COST) for face in faces] for track in tracks]
    for row, column in assign(costs):
        if costs[row][column] < MAX_COST:
            tracks[row].faces.append(faces[column])
            tracks[row].spots.append(spots.pop(faces[column]))
    return spots


def assign(costs: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Return pairs (row, column) with the lowest total cost, each row and column at most once, as many as possible.

    Kuhn 1955, The Hungarian Method for the Assignment Problem, with the potentials of Jonker and Volgenant 1987. Not
    scipy's, whose import takes longer than the search for the faces of an image.
    """
    if not costs or not costs[0]:
        return []
    if len(costs) > len(costs[0]):
        return sorted((row, column) for column, row in assign(list(zip(*costs, strict=True))))
    columns = len(costs[0])
    row_of = [-1] * (columns + 1)  # of each column; the last one is a start without costs
    of_row, of_column = [0.0] * len(costs), [0.0] * (columns + 1)  # potentials
    for row in range(len(costs)):
        row_of[columns], at = row, columns
        cheapest, before, done = [math.inf] * columns, [columns] * columns, [False] * (columns + 1)
        while row_of[at] >= 0:  # the shortest path to a free column
            done[at], own = True, row_of[at]
            for column in (column for column in range(columns) if not done[column]):
                cost = costs[own][column] - of_row[own] - of_column[column]
                if cost < cheapest[column]:
                    cheapest[column], before[column] = cost, at
            nearest = min((column for column in range(columns) if not done[column]), key=cheapest.__getitem__)
            step = cheapest[nearest]
            for column in range(columns + 1):
                if done[column]:
                    of_row[row_of[column]] += step
                    of_column[column] -= step
                elif column < columns:
                    cheapest[column] -= step
            at = nearest
        while at != columns:
            row_of[at], at = row_of[before[at]], before[at]
    return sorted((row, column) for column, row in enumerate(row_of[:columns]) if row >= 0)


def _merge(tracks: list[Track]) -> list[Track]:
    """Join tracks that begin near the end of another, nearest first; faces seen once stay alone."""
    while True:
        often = [track for track in tracks if len(track.spots) > 1]
        pairs = [(a, b) for a, b in permutations(often, 2) if a.spots[-1].frame < b.spots[0].frame]
        if not pairs:
            return tracks
        before, after = min(pairs, key=lambda pair: pair[0].cost(pair[1].spots[0]))
        if before.cost(after.spots[0]) >= MAX_APART:
            return tracks
        before.spots += after.spots
        before.faces += after.faces
        tracks.remove(after)
