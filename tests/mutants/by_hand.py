"""Faults that people made by hand, each with the test that notices it: the gravest of those that no
test noticed when they were made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutate import Mutant


@dataclass(frozen=True)
class ByHand:
    """One fault: a text that stands once in a file, and what is put there."""

    what: str
    file: str
    before: str
    after: str
    test: str
    """In tests/."""


def by_hand_mutant(fault: ByHand, root: Path) -> Mutant:
    """The fault as a mutant of the checkout at `root`."""
    source = (root / fault.file).read_text("utf-8")
    above, _, below = source.partition(fault.before)
    line = above.count("\n") + 1
    return Mutant(
        file=fault.file,
        line=line,
        last=line + fault.before.rstrip().count("\n"),
        before=" ".join(fault.before.split()),
        after=" ".join(fault.after.split()),
        source=f"{above}{fault.after}{below}",
        is_swap=False,
    )


BY_HAND = (
    ByHand("the first candidate is marked as the winner", "cli/screen/render.py",
           "(n.arch == winner)", "(i == 1)",
           "cli/screen/test_render.py::test_the_winner_is_marked_wherever_it_stands"),
    ByHand("a plan's own code is never asked about", "studies/request/decide.py",
           "    if not request.allow_code:", "    if False:",
           "studies/request/test_request.py::test_both_refuse_the_same_in_their_own_words"),
    ByHand("a plan's teacher may run code", "studies/plan/change.py",
           '        "retrain.distillation.teacher": plan.retrain.distillation.teacher,\n', "",
           "studies/plan/test_change.py::"
           "test_code_that_a_plan_names_is_told_wherever_it_stands"),
    ByHand("no stochastic depth on the FFN branch", "hnas/network/block.py",
           "x + drop(ffn(parts.norm2(x), parts))", "x + ffn(parts.norm2(x), parts)",
           "hnas/network/test_block.py::test_stochastic_depth_drops_both_branches_each_by_itself"),
    ByHand("pictures are cropped at the top", "hnas/data/pixels.py",
           "(height - side) // 2, (", "0, (",
           "hnas/data/test_images.py::test_fit_crops_the_centre"),
    ByHand("a file of others is replaced", "hnas/persist/ours.py",
           "        if kept:", "        if False:",
           "hnas/exchange/test_export.py::test_a_file_of_others_stays_and_nothing_is_written"),
    ByHand("a folder is not synced after the rename", "hnas/persist/atomic.py",
           "        os.fsync(folder)", "        pass",
           "hnas/persist/test_atomic.py::"
           "test_a_file_is_synced_before_it_takes_its_place_and_its_folder_after"),
    ByHand("values and gates change places with the expansion", "hnas/architecture/local.py",
           '"v E Cl, Cl"', '"E v Cl, Cl"', "hnas/architecture/test_layout.py"),
    ByHand("a supernet that grows has no dropout", "hnas/network/supernet.py",
           "extend(Supernet(space, dropout=dropout)", "extend(Supernet(space)",
           "hnas/network/test_supernet.py::test_growing_initialises_the_rest_from_its_seed"),
    ByHand("an index is written before the weights that it names", "hnas/training/checkpoint.py",
           "        write_atomic(file, data)\n"
           "        _write_index(path, [version, *older[: KEPT - 1]])\n",
           "        _write_index(path, [version, *older[: KEPT - 1]])\n"
           "        write_atomic(file, data)\n",
           "hnas/training/test_checkpoint.py::"
           "test_wherever_a_write_fails_no_index_names_what_is_not_there"),
    ByHand("averaged weights are not the ones kept", "hnas/training/trainer.py",
           "        return averaged or _under(", "        return _under(",
           "hnas/training/test_loop.py::test_averaged_weights_are_those_of_all_steps_and_are_kept"),
    ByHand("averaged weights never count as better", "hnas/training/judge.py",
           "is_averaged = net is not trainer.model", "is_averaged = False",
           "hnas/training/test_judge.py::"
           "test_plain_or_averaged_weights_are_kept_whichever_do_better"),
    ByHand("a trained network gets its plain weights", "hnas/training/trainer.py",
           "(_kept(found.tensors, _judged(found.meta)))", '(_under("model/", found.tensors))',
           "hnas/training/test_judge.py"),
    ByHand("labels are not smoothed", "hnas/training/losses.py",
           ", label_smoothing=rules.label_smoothing", "",
           "hnas/training/test_loop.py::test_labels_are_smoothed"),
    ByHand("a bootstrap has no seed", "studies/experiments/rank_statistics.py",
           "np.random.default_rng(seed)", "np.random.default_rng()",
           "studies/experiments/test_rank_statistics.py"),
    ByHand("the top quarter is by the guess", "studies/experiments/rank_statistics.py",
           "np.argsort(-truth, kind", "np.argsort(-guess, kind",
           "studies/experiments/test_rank_statistics.py::test_the_top_quarter_is_by_the_truth"),
    ByHand("only the first batch is timed", "studies/search/estimate.py",
           "epochs=1 + STEPS", "epochs=1",
           "studies/search/test_estimate.py::"
           "test_the_first_batch_is_not_timed_and_of_the_others_the_median"),
    ByHand("grey images are mirrored", "studies/plan/recipe.py",
           "AugmentRules(crop=0.8)", "AugmentRules(crop=0.8, flip=True)",
           "studies/plan/test_recipe.py"),
    ByHand("a trial is put back from under its new worker", "studies/trials/queue.py",
           "            if last is not None and last != TrialView(*found, beat):",
           "            if False:",
           "studies/scoring/test_worker.py::"
           "test_a_trial_that_was_taken_anew_stays_with_its_worker"),
    ByHand("the next worker inherits a sign of life", "studies/trials/queue.py",
           "            connection.execute(delete(beats).where(beats.trial_id == trial_id))\n", "",
           "studies/scoring/test_worker.py::"
           "test_a_trial_that_was_taken_anew_stays_with_its_worker"),
    ByHand("of equal accuracies the higher loss wins", "studies/run/result.py",
           "(-n.accuracy, n.loss, n.macs", "(-n.accuracy, -n.loss, n.macs",
           "studies/run/test_files.py::"
           "test_the_best_trained_is_right_on_most_then_surest_then_cheapest"),
    ByHand("an exhausted stage is never finished", "studies/search/session.py",
           " and not marks_of(study).exhausted", "",
           "studies/search/test_handoff.py::test_a_stage_that_found_no_more_is_finished"),
    ByHand("the final test is on held-out images", "studies/search/finish.py",
           "test = _test_images(session)", "test = session.data.held_out",
           "studies/search/test_search.py::test_the_test_images_are_tested_and_no_others"),
    ByHand("stage 3 grows out of stage 2 alone", "studies/search/supernets.py",
           "initial=initial, before=first", "initial=initial",
           "studies/search/test_handoff.py::test_a_supernet_grows_out_of_all_before_it"),
    ByHand("a supernet's training ignores the plan's seed", "studies/search/supernets.py",
           'run.seed(f"supernet {stage}")', "0",
           "studies/search/test_handoff.py::test_a_supernet_is_trained_by_the_plans_seed"),
    ByHand("mutated children repeat crossed ones", "studies/proposers/spos.py",
           "seen={*turn.seen, *found}", "seen=turn.seen",
           "studies/proposers/test_spos.py::test_no_mutated_child_repeats_a_crossed_one"),
    ByHand("of equal scores the earlier is better, not the cheaper", "studies/trials/pareto.py",
           "(-t.accuracy, minimised(t, objective), t.number)", "(-t.accuracy, t.number)",
           "studies/trials/test_pareto.py"),
    ByHand("a driver's own error is chained", "studies/trials/database.py",
           "{advice}\") from None", "{advice}\") from error",
           "studies/trials/test_database.py::test_no_traceback_has_the_password"),
    ByHand("trials are read in any order", "studies/trials/tables.py",
           ".where(*of_study).order_by(trials.number)", ".where(*of_study)",
           "studies/trials/test_trial.py::test_trials_are_read_by_number"),
)  # fmt: skip
