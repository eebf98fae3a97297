"""Spark sessions: the errors of masters, and how often a task is tried."""

import pytest
from conftest import Script, run_step
from spark_cluster import free_ports

from deepfake.core.errors import UserError
from deepfake.jobs.spark_session import check_master, with_attempts


@pytest.mark.parametrize(
    ("master", "expected"),
    [
        ("local", "local[1,4]"),
        ("local[2]", "local[2,4]"),
        ("local[*]", "local[*,4]"),
        ("local[2,1]", "local[2,1]"),
        ("local-cluster[2,1,1024]", "local-cluster[2,1,1024]"),
        ("spark://node:7077", "spark://node:7077"),
        ("yarn", "yarn"),
    ],
)
def test_a_task_on_this_machine_is_tried_as_often_as_one_of_a_cluster(master, expected):
    assert with_attempts(master, 4) == expected
    assert with_attempts(master, 1) == master


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "127.0.0.1:{port},127.0.0.1:{port}", "127.0.0.1", "nobody:x"])
def test_a_master_that_does_not_answer_is_named_in_the_error(address):
    master = "spark://" + address.format(port=free_ports(1)[0])
    with pytest.raises(UserError, match="no Spark master answers") as error:
        check_master(master)
    assert master in str(error.value) and "\n" not in str(error.value)


@pytest.mark.spark
def test_a_java_that_exits_at_once_is_one_line_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("PYSPARK_PYTHON", "/of/another/python")
    (tmp_path / "predictions.json").write_text("[]")
    done = run_step("04", "--predictions", tmp_path / "predictions.json", "--master", "nobody", "--out-dir", tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "--master nobody (Master must either be yarn or start with" in done.stderr
    assert "PYSPARK_PYTHON=/of/another/python" in done.stderr


@pytest.mark.spark
def test_local_runs_use_the_projects_spark_and_python(tmp_path, monkeypatch):
    for name in ("SPARK_HOME", "SPARK_CONF_DIR", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
        monkeypatch.setenv(name, "/of/another/spark")
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "--master spark://nowhere:7077 pyspark-shell")
    program = tmp_path / "program.py"
    program.write_text(
        "from deepfake.jobs.spark_session import QUICK, start_spark\n"
        "spark = start_spark('local[1]', settings=QUICK)\n"
        "print(spark.sparkContext.parallelize([1, 2]).map(lambda number: 2 * number).collect())\n"
    )
    done = Script(program).ended(120)
    assert (done.returncode, done.stdout) == (0, "[2, 4]\n"), done.stderr
