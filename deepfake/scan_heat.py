"""What a model looked at, laid over the crops of a scan."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from deepfake.classifiers import Classifier
from deepfake.evidence import Evidence
from deepfake.scan_pictures import CROP_QUALITY, CROP_SIDE, jpeg
from deepfake.scans import FaceScore, Pictures


def add_heat(classifier: Classifier, evidence: Evidence, faces: Sequence[FaceScore], pictures: Pictures) -> Pictures:
    """The pictures with heat maps of their crops; as they are, where the model is not Keras' or has no maps."""
    if classifier.model is None:
        return pictures
    from deepfake.heatmaps import painted  # loads TensorFlow

    crops = {(seen.frame, seen.face): crop for seen, crop in zip(evidence.faces, evidence.crops, strict=True)}
    people = defaultdict(list)  # a model of sequences sees each person's crops together
    for face in faces:
        people[face.person].append((face.frame, face.face))
    heats: dict[tuple[int, int], bytes] = {}
    wanted = {(crop.frame, crop.face) for crop in pictures.crops}
    for places in people.values():
        shown = [place for place in places if place in wanted]
        images = painted(classifier.model, [crops[place] for place in shown], CROP_SIDE, classifier.judge.threshold)
        heats |= {place: jpeg(image, CROP_QUALITY) for place, image in zip(shown, images or (), strict=False)}
    with_heat = (replace(crop, heat=heats.get((crop.frame, crop.face))) for crop in pictures.crops)
    return replace(pictures, crops=tuple(with_heat))
