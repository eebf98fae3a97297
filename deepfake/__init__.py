"""Videos of faces go in, a verdict for each video comes out. The modules, in the order of that way; each one imports
only from those before it, or from the plain helpers.

    helpers     files, rules, crop_rule, modelinfo, cli, queues, runner, listing
                spark_session, spark_runner: Spark in its place
    videos      videos, on_disk, tables, name_ties; datasets (academic, face_folders: its readers), unpack;
                sample and drawing/, which draw some
    frames      hdr, display, streams, fields, open_codecs: decoding, frames            step 00
    faces       networks, detector, cropping; people, shots, stills, turning: face_crops
                face_records, faces                                     steps 01a and 01b
    tables      crop_table; spark_crops writes crops in Parquet, table_crops reads them
    looking     gallery; facts, pairs, explore_plots: explore
    splits      crops, copies, assignment, parts, crop_estimate, split_record, split_rule, splits      step 02
    inputs      augmentation, blending, sequences, crop_sets, inputs, pseudo_fakes
    models      untrusted (looks at a model's file before it is loaded), starter, devices, keras2, backbones, models
                torch_weights: PyTorch's files for backbones
    training    options, checkpoints, training_log, training                     step 03
    judging     metrics, calibration, predictions, reports, evaluation; robustness, saved_models (step 03a)
    reports     scans; heatmaps, timeline, report (templates/: its HTML, style and script)
    verdicts    spark_predictions, aggregates, errors, testset, verdicts        step 04
    comparing   runs, compare_plots: compare
    scanning    scan_inputs, scan_rule, kinds, evidence, resizing, classifiers, scan_pictures, scan_heat, scan_outputs
                scan, export, publish                                     step 05
    page        uploads, scan_queue: web_page (templates/page.*)                    step 06
    pictures    plots, robustness_plots, and those above
"""

import os
import sys

if sys.platform == "win32":  # which lacks the signals, locks and links that every step needs
    print(
        "error: Windows itself is not supported; run this in WSL (wsl --install), or in a Linux container",
        file=sys.stderr,
    )
    sys.exit(2)

# ONNX Runtime's Linux builds tell Microsoft of each model that they run, unless they find this before they are loaded
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
