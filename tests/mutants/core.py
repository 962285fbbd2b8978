"""The core: the files whose mutants must be noticed, each with the tests that are nearest to it."""

from __future__ import annotations

CORE: dict[str, tuple[str, ...]] = {
    "hnas/architecture/layout.py": ("hnas/architecture/test_layout", "hnas/network/test_supernet"),
    "hnas/cost/flops.py": ("hnas/cost/test_flops",),
    "hnas/data/split.py": ("hnas/data/test_split",),
    "hnas/exchange/export.py": ("hnas/exchange/test_export", "hnas/exchange/test_standalone"),
    "hnas/exchange/import_weights.py": ("hnas/exchange/test_import_weights",),
    "hnas/network/block.py": ("hnas/network/test_block", "hnas/network/test_supernet"),
    "hnas/network/slicing.py": ("hnas/network/test_supernet",),
    "hnas/network/supernet.py": ("hnas/network/test_supernet",),
    "hnas/persist/atomic.py": ("hnas/persist/test_atomic",),
    "hnas/persist/record.py": ("hnas/persist/test_record",),
    "hnas/sampling.py": ("hnas/test_sampling",),
    "hnas/scoring/metric.py": ("hnas/scoring/test_metric",),
    "hnas/scoring/score.py": ("hnas/scoring/test_score",),
    "hnas/training/checkpoint.py": ("hnas/training/test_checkpoint",),
    "hnas/training/judge.py": ("hnas/training/test_judge",),
    "hnas/training/loop.py": ("hnas/training/test_loop", "hnas/training/test_judge"),
    "hnas/training/losses.py": ("hnas/training/test_loop", "hnas/training/test_distillation"),
    "hnas/training/trainer.py": ("hnas/training/test_judge", "hnas/training/test_loop"),
    "studies/experiments/rank_statistics.py": ("studies/experiments/test_rank_statistics",),
    "studies/plan/change.py": ("studies/plan/test_change",),
    "studies/plan/plan.py": ("studies/plan/test_plan", "studies/plan/test_toml"),
    "studies/plan/strategies.py": ("studies/plan/test_strategies",),
    "studies/plan/tables.py": ("studies/plan/test_plan", "studies/plan/test_toml"),
    "studies/plan/toml.py": ("studies/plan/test_toml",),
    "studies/proposers/base.py": (
        "studies/proposers/test_base",
        "studies/proposers/test_spos",
        "studies/proposers/test_samplers",
    ),
    "studies/proposers/nsga2.py": ("studies/proposers/test_nsga2",),
    "studies/proposers/random_search.py": ("studies/proposers/test_random_search",),
    "studies/proposers/spos.py": ("studies/proposers/test_spos",),
    "studies/run/interval.py": ("studies/run/test_interval",),
    "studies/scoring/claim.py": ("studies/scoring/test_worker",),
    "studies/scoring/queue_backend.py": ("studies/scoring/test_queue_backend",),
    "studies/scoring/worker.py": ("studies/scoring/test_worker",),
    "studies/search/finish.py": (
        "studies/search/test_refit",
        *(
            f"studies/search/test_search::test_{name}"
            for name in (
                "the_result_is_the_best_retrained_beside_a_plain_network_of_equal_flops",
                "the_test_images_are_tested_and_no_others",
                "another_metric",
                "the_images_of_each_class_are_counted",
                "networks_are_compared_image_by_image",
                "simple_models_stand_beside_the_answer",
                "simple_models_are_left_out_for_a_reason",
                "a_finished_run_does_nothing_again",
                "the_winner_can_be_taken_away",
            )
        ),
    ),
    "studies/search/handoff.py": (
        "studies/search/test_handoff",
        "studies/search/test_start::test_the_papers_handoff_starts_from_the_supernet_of_its_stage",
        "studies/search/test_search::test_the_handoff_stands_in_both_studies_and_links_them",
        "studies/search/test_search::test_a_handoff_that_cannot_be_stored_is_told_and_made_again",
    ),
    "studies/search/retrain.py": (
        "studies/search/test_retrain",
        "studies/search/test_refit",
        "studies/search/test_start::test_what_is_compared_is_trained_as_long_and_it_is_said",
        "studies/search/test_start::"
        "test_an_all_global_network_that_the_supernet_has_may_start_from_it_too",
    ),
    "studies/search/stage.py": ("studies/search/test_stage",),
    "studies/trials/conditions.py": ("studies/trials/test_conditions",),
    "studies/trials/database.py": ("studies/trials/test_database", "studies/trials/test_patience"),
    "studies/trials/encoding.py": ("studies/trials/test_encoding",),
    "studies/trials/pareto.py": ("studies/trials/test_pareto",),
    "studies/trials/queue.py": (
        "studies/scoring/test_queue_backend",
        "studies/scoring/test_worker",
    ),
    "studies/trials/tables.py": ("studies/trials/test_tables",),
    "studies/trials/taking.py": ("studies/scoring/test_worker",),
    "studies/trials/trial.py": ("studies/trials/test_trial", "studies/trials/test_patience"),
    "studies/trials/writing.py": ("studies/trials/test_deleted",),
}
"""Tests by their path in tests/, the nearest first; of files of whole searches single ones."""


def nodes_of(file: str) -> list[str]:
    """The tests of a file of the core, as pytest takes them."""
    named = (name.partition("::") for name in CORE[file])
    return [f"tests/{path}.py{mark}{name}" for path, mark, name in named]
