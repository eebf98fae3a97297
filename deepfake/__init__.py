"""Videos of faces go in, a verdict for each video comes out. The modules, in the order of that way; each one imports
only from those before it, or from the plain helpers.

    helpers     cli, files, queues, runner, listing, rules; spark_session, spark_runner: Spark in its place
    videos      videos; datasets (academic, face_folders: its readers), unpack; sample and drawing/, which draw some
    frames      decoding, frames                                        step 00
    faces       networks, detector, people, faces                       steps 01a and 01b
    tables      crop_table; spark_crops writes crops in Parquet, table_crops reads them
    looking     gallery; facts, pairs, explore_plots: explore
    splits      crops, assignment, splits                               step 02
    inputs      augmentation, blending, sequences, crop_sets, inputs, pseudo_fakes
    models      devices, backbones, models, modelinfo
    training    options, checkpoints, training                          step 03
    judging     metrics, calibration, predictions, reports, evaluation; robustness, saved_models (step 03a)
    reports     heatmaps; scans, timeline, report (templates/: its HTML, style and script)
    verdicts    spark_predictions, aggregates, errors, testset, verdicts        step 04
    comparing   runs, compare_plots: compare
    scanning    scan_inputs, evidence, resizing, classifiers, scan_pictures, scan_heat, scan_outputs, scan
                untrusted (all that loads a model looks at its file so first), export      step 05
    page        uploads, scan_queue: web_page (templates/page.*)                    step 06
    pictures    plots, robustness_plots, and those above
"""

import os

# ONNX Runtime's Linux builds tell Microsoft of each model that they run, unless they find this before they are loaded
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
