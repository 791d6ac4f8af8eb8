#include <signalllm/nn/decoder.h>
#include <signalllm/nn/model.h>

#include "nn/model_tokens.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/OpMathType.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/full.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace signalllm {

namespace {

/// Eval mode for as long as it lives.
class EvalMode {
 public:
  explicit EvalMode(torch::nn::Module& module)
      : module_(module), was_training_(module.is_training()) {
    module_.eval();
  }
  EvalMode(const EvalMode&) = delete;
  EvalMode& operator=(const EvalMode&) = delete;
  ~EvalMode() {
    module_.train(was_training_);
  }

 private:
  torch::nn::Module& module_;
  bool was_training_;
};

int64_t bytes_of(const torch::Tensor& t) {
  return t.defined() ? static_cast<int64_t>(t.nbytes()) : 0;
}

int64_t bytes_of(const CausalFilterState& state) {
  int64_t sum = 0;
  for (const auto& t : state.history) {
    sum += bytes_of(t);
  }
  return sum;
}

} // namespace

int64_t SignalLLMState::bytes() const {
  int64_t sum = bytes_of(adaptive_basis.history);
  for (const auto& block : blocks) {
    const auto& attention = block.attention;
    for (const auto& cache : {attention.keys, attention.values}) {
      sum +=
          cache.defined() ? bytes_of(cache.slice(2, 0, attention.length)) : 0;
    }
    const auto& frequency = block.frequency;
    for (const auto& t :
         {frequency.history, frequency.keys, frequency.values}) {
      sum += bytes_of(t);
    }
    sum += attention.tree.bytes() + bytes_of(attention.filter) +
        bytes_of(block.fourier.filter) + bytes_of(block.fourier.sums) +
        bytes_of(block.feed_forward.filter);
  }
  return sum;
}

SignalLLMState SignalLLMImpl::make_state(int64_t batch) {
  TORCH_CHECK(
      batch >= 1,
      "SignalLLM::make_state: batch is ",
      batch,
      ", it must be at least 1");
  SignalLLMState state;
  state.batch = batch;
  state.blocks.resize(runs().size());
  return state;
}

std::vector<size_t> SignalLLMImpl::runs() const {
  return block_runs(options.layers(), options.passes());
}

void SignalLLMImpl::check_state(
    const char* function,
    const torch::Tensor& tokens,
    const SignalLLMState& state) const {
  check_tokens(function, tokens, options.vocab_size());
  const auto count = runs().size();
  TORCH_CHECK(
      tokens.size(0) == state.batch && state.blocks.size() == count,
      function,
      ": tokens have batch ",
      tokens.size(0),
      ", the state was made for batch ",
      state.batch,
      " and ",
      state.blocks.size(),
      " runs of a block, the model has ",
      count);
  const auto last = state.length + tokens.size(1) - 1;
  TORCH_CHECK(
      !positions || last < options.max_length(),
      function,
      ": positions ",
      state.length,
      " to ",
      last,
      " are asked for, the table ends at max_length = ",
      options.max_length());
}

bool SignalLLMImpl::has_fixed_step() const {
  return options.attention() == AttentionKind::Wavelet && !adaptive_basis;
}

torch::Tensor SignalLLMImpl::forward_incremental(
    const torch::Tensor& tokens,
    SignalLLMState& state) {
  check_state("SignalLLM::forward_incremental", tokens, state);
  if (tokens.size(1) == 1 && has_fixed_step()) {
    const auto logits = step(tokens, state, /*fixed=*/false);
    advance(state, 1);
    return logits.unsqueeze(1);
  }
  const auto x = hidden_incremental(tokens, state);
  return x.matmul(state.embedding.t());
}

torch::Tensor SignalLLMImpl::hidden_incremental(
    const torch::Tensor& tokens,
    SignalLLMState& state) {
  const auto x = hidden_incremental(tokens, state, nullptr);
  state.length += tokens.size(1);
  if (state.next.index.defined()) {
    state.next.index.fill_(state.length);
  }
  return x;
}

torch::Tensor SignalLLMImpl::hidden_incremental(
    const torch::Tensor& tokens,
    SignalLLMState& state,
    const NextPosition* next) {
  if (!state.embedding.defined()) {
    state.embedding = embedding_weight();
  }
  auto x = at::embedding(state.embedding, tokens);
  if (positions) {
    x = next ? positions->forward_at(x, next->index)
             : positions->forward(x, state.length);
  }
  if (adaptive_basis) {
    x = adaptive_basis->forward_incremental(x, state.adaptive_basis);
  }
  size_t place = 0;
  for (const auto run : runs()) {
    auto& block = blocks->at<WaveletTransformerBlockImpl>(run);
    auto& remembered = state.blocks[place++];
    x = next ? block.forward_next(x, remembered, *next)
             : block.forward_incremental(x, remembered);
  }
  return norm->forward(x);
}

torch::Tensor SignalLLMImpl::step(
    const torch::Tensor& tokens,
    SignalLLMState& state,
    bool fixed) {
  auto& next = state.next;
  if (!next.index.defined()) {
    next.index = at::full({1}, state.length, tokens.options());
  }
  if (!blocks->is_empty()) {
    const auto* block = blocks[0]->as<WaveletTransformerBlockImpl>();
    if (block->attention) {
      const auto& weight = block->mixer_norm->weight;
      block->attention->locate(
          next,
          state.blocks[0].attention,
          weight.options().dtype(at::toOpMathType(weight.scalar_type())),
          fixed);
    }
  }
  const auto x = hidden_incremental(tokens, state, &next);
  next.index.add_(1);
  return x.select(1, 0).matmul(state.embedding.t());
}

bool SignalLLMImpl::advance(SignalLLMState& state, int64_t count) const {
  state.length += count;
  bool replaced = false;
  size_t place = 0;
  for (const auto run : runs()) {
    replaced |= blocks->at<WaveletTransformerBlockImpl>(run).advance(
        state.blocks[place++], count);
  }
  return replaced;
}

torch::Tensor SignalLLMImpl::generate(
    const torch::Tensor& prompt,
    const GenerateOptions& generate_options,
    const std::function<bool(const torch::Tensor&)>& on_token) {
  check_tokens("SignalLLM::generate", prompt, options.vocab_size());
  return continued(prompt, {}, prompt.size(1), generate_options, on_token);
}

std::vector<torch::Tensor> SignalLLMImpl::generate(
    const std::vector<torch::Tensor>& prompts,
    const GenerateOptions& generate_options,
    const std::function<bool(const torch::Tensor&)>& on_token) {
  TORCH_CHECK(
      !prompts.empty(), "SignalLLM::generate: there is no prompt at all");
  auto shortest = std::numeric_limits<int64_t>::max();
  int64_t longest = 0;
  for (const auto& prompt : prompts) {
    TORCH_CHECK(
        prompt.dim() == 1,
        "SignalLLM::generate: a prompt has shape ",
        prompt.sizes(),
        ", each must be [length]");
    check_tokens(
        "SignalLLM::generate", prompt.unsqueeze(0), options.vocab_size());
    shortest = std::min(shortest, prompt.size(0));
    longest = std::max(longest, prompt.size(0));
  }
  const auto count = static_cast<int64_t>(prompts.size());
  const auto all = at::zeros({count, longest}, prompts[0].options());
  const auto given =
      at::zeros({count, longest}, prompts[0].options().dtype(at::kBool));
  for (int64_t i = 0; i < count; ++i) {
    const auto& prompt = prompts[static_cast<size_t>(i)];
    all.select(0, i).slice(0, 0, prompt.size(0)).copy_(prompt);
    given.select(0, i).slice(0, 0, prompt.size(0)).fill_(true);
  }
  const auto text = continued(all, given, shortest, generate_options, on_token);
  std::vector<torch::Tensor> texts;
  for (int64_t i = 0; i < count; ++i) {
    texts.push_back(text.select(0, i).slice(
        0,
        0,
        prompts[static_cast<size_t>(i)].size(0) +
            generate_options.max_new_tokens()));
  }
  return texts;
}

torch::Tensor SignalLLMImpl::continued(
    const torch::Tensor& prompts,
    const torch::Tensor& given,
    int64_t shortest,
    const GenerateOptions& generate_options,
    const std::function<bool(const torch::Tensor&)>& on_token) {
  TORCH_CHECK(
      generate_options.max_new_tokens() >= 0,
      "SignalLLM::generate: max_new_tokens is ",
      generate_options.max_new_tokens(),
      ", it must not be negative");
  const auto longest = prompts.size(1);
  const auto end = longest + generate_options.max_new_tokens();
  if (generate_options.max_new_tokens() == 0) {
    return prompts;
  }
  torch::NoGradGuard no_grad;
  EvalMode eval(*this);
  std::optional<at::Generator> generator;
  if (auto seed = generate_options.seed()) {
    generator = at::detail::createCPUGenerator(*seed);
  }
  auto state = make_state(prompts.size(0));
  std::vector<torch::Tensor> text{prompts.slice(1, 0, shortest)};
  check_state("SignalLLM::generate", text[0], state);
  // The head is for the last position only.
  auto logits = hidden_incremental(text[0], state)
                    .select(1, -1)
                    .matmul(state.embedding.t());
  // For a few tokens a recording does not pay.
  constexpr int64_t few = 8;
  Decoder decoder(*this, std::move(state), end - shortest > few);
  for (auto at = shortest; at < end; ++at) {
    auto next = sample(logits, generate_options, generator);
    if (at < longest) {
      next = at::where(given.select(1, at), prompts.select(1, at), next);
    }
    text.push_back(next.unsqueeze(1));
    if ((on_token && !on_token(next)) || at + 1 == end) {
      break;
    }
    logits = decoder.step(next);
  }
  return at::cat(text, 1);
}

} // namespace signalllm
