// Which settings cannot be.

#include "app/settings.h"

#include <c10/util/Exception.h>
#include <c10/util/StringUtil.h>

#include <algorithm>

namespace signalllm::app {

void check(const Settings& s) {
  const auto at_least = [](const char* name, auto value, auto least) {
    TORCH_CHECK(
        value >= least, "--", name, " is ", value, "; at least ", least);
  };
  const auto one_of = [](const char* name,
                         const std::string& value,
                         const std::vector<std::string>& allowed) {
    TORCH_CHECK(
        std::find(allowed.begin(), allowed.end(), value) != allowed.end(),
        "--",
        name,
        " is '",
        value,
        "'; there are ",
        c10::Join(", ", allowed));
  };
  TORCH_CHECK(
      s.dropout >= 0 && s.dropout < 1,
      "--dropout is ",
      s.dropout,
      "; at least 0 and below 1");
  at_least("steps", s.steps, 1);
  at_least("batch", s.batch, 1);
  at_least("accumulate", s.accumulate, 1);
  at_least("context", s.context, 1);
  at_least("warmup", s.warmup, 0);
  at_least("lr", s.lr, 0.0);
  at_least("min-lr", s.min_lr, 0.0);
  at_least("weight-decay", s.weight_decay, 0.0);
  at_least("kernel-decay", s.kernel_decay, 0.0);
  at_least("clip", s.clip, 0.0);
  at_least("rollbacks", s.rollbacks, 0);
  TORCH_CHECK(
      s.divergence == 0 || s.divergence > 1,
      "--divergence is ",
      s.divergence,
      "; above 1, or 0 for never");
  at_least("patience", s.patience, 0);
  at_least("min-delta", s.min_delta, 0.0);
  TORCH_CHECK(
      s.patience == 0 || s.evaluate_every > 0,
      "--patience ",
      s.patience,
      " waits for validations, and --evaluate-every 0 makes none before the "
      "end");
  TORCH_CHECK(
      s.patience > 0 || s.min_delta == 0,
      "--min-delta is for --patience, which is 0");
  at_least("threads", s.threads, 0);
  at_least("timeout", s.timeout, 1);
  at_least("report-every", s.report_every, 0);
  at_least("evaluate-every", s.evaluate_every, 0);
  at_least("checkpoint-every", s.checkpoint_every, 0);
  at_least("keep", s.keep, 0);
  at_least("peak-tflops", s.peak_tflops, 0.0);
  one_of("schedule", s.schedule, training::schedule_shapes());
  TORCH_CHECK(
      s.decay_fraction > 0 && s.decay_fraction <= 1,
      "--decay-fraction is ",
      s.decay_fraction,
      "; above 0, at most 1");
  TORCH_CHECK(
      s.decay_fraction == default_decay_fraction || s.schedule == "wsd",
      "--decay-fraction is for --schedule wsd, not for ",
      s.schedule);
  one_of("optimizer", s.optimizer, {"adamw", "muon"});
  one_of("precision", s.precision, {"float32", "bfloat16"});
  if (s.tokenizer.find_first_of("./") == std::string::npos) { // no file
    one_of("tokenizer", s.tokenizer, {"bytes", "chars", "sentencepiece"});
  }
  TORCH_CHECK(
      s.vocab_size == default_vocab_size || s.tokenizer == "sentencepiece",
      "--vocab-size is for --tokenizer sentencepiece, not for ",
      s.tokenizer);
}

} // namespace signalllm::app
