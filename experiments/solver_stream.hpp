#pragma once
// Streaming training: a solver makes the training frames while the network learns from them; nothing but a
// checkpoint's solver states touches the disk.
#include "datagen/plan.hpp"
#include "datagen/solver_source.hpp"
#include "emulator/training/config.hpp"
#include "emulator/training_frames.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace sns {

/// Trajectory ids of streams: training members and their replacements, validation members and theirs.
inline constexpr std::uint64_t kFirstStreamTrajectory = 0, kFirstValidationTrajectory = 500000;

/// The plan of a stream: steps between frames, coarsening, cache and seed of the `datagen` block, spin-up and
/// decorrelation too unless the stream has its own, with `stream.frames` frames per round, the members as
/// splits, and nothing of what concerns files.
DatagenPlan stream_plan(const DatagenPlan& datagen, const StreamConfig& stream);
/// That of the validation trajectories, which are always spun up as the `datagen` block says: they stand for
/// the flow that the model is used on.
DatagenPlan stream_validation_plan(const DatagenPlan& datagen, const StreamConfig& stream);

/// Bytes of frames that a stream holds at most: queue + 2 rounds (one that is read, one that the next batch may
/// have begun, those ahead), and the validation frames.
double stream_bytes(const StreamConfig& stream, double frame_bytes);

/// Training data of one model. What it opens keeps `solver` and `datagen` by reference or copy as needed:
/// `solver` must outlive it. Members advance in rounds (StreamEnsemble) on a thread of their own, at most
/// stream.queue rounds ahead of the round that is read; pass r of the training is round r. Normalised by
/// field_std as given, otherwise by the standard deviation of every field over the first round, which every
/// checkpoint keeps. Validation frames are one round of further trajectories, made before the first step and
/// again on resume. The hash is that of a text which names everything that decides a frame; stream.queue does
/// not.
TrainingSource solver_stream(const SolverSource& solver, const DatagenPlan& datagen,
                             const StreamConfig& stream);

}  // namespace sns
