"""What a case is for: every flag names a situation, the fault that shows there, and what that fault
does.

"Basic" cases catch what is wrong everywhere; the other flags say which fault would pass the basic
case.
"""
from typing import NamedTuple


class Flag(NamedTuple):
    situation: str   # completes "fails for ..."
    catches: str
    effect: str


FLAGS = {
    "Basic": Flag(
        "ordinary input", "a wrong formula, axis, order or sign", "wrong results everywhere"),
    "EmptyHistory": Flag(
        "an empty history, where nothing may be attended", "masks of -inf, or means over no events",
        "NaN for new users, and from them in every weight"),
    "Padding": Flag(
        "histories of different lengths", "padding that is attended, counted or trained",
        "results depend on the other rows of a batch"),
    "SingleEvent": Flag(
        "a history of one event", "windows and shifts that are one event off",
        "short histories get the results of their neighbours"),
    "FullHistory": Flag(
        "a history without padding", "code that relies on padding at either end",
        "the oldest or newest event of long histories is lost"),
    "LowVariance": Flag(
        "values that hardly vary", "another epsilon in the layer norm, or one outside the root",
        "small activations are scaled differently, which float32 shows nowhere else"),
    "LargeValues": Flag(
        "large values", "exp or log without the usual shift", "overflow, NaN or a loss of inf"),
    "Heads": Flag(
        "several heads",
        "heads split or merged along the wrong axis, or the root of the wrong width",
        "heads mix the features of different events"),
    "OneBehaviour": Flag(
        "events of one behaviour only", "weights or masks of the other behaviours that still act",
        "behaviours that never occur change results or get gradients"),
    "RepeatedItem": Flag(
        "an item that occurs several times",
        "counts of the future or of other items, lost gradients",
        "a leak of what is to be predicted, or embeddings that train too slowly"),
    "NoNegative": Flag(
        "positions without a negative", "a negative 0 that is scored like an item",
        "padding's embedding is trained"),
    "BucketEdges": Flag(
        "time gaps at the edges of the buckets", "log2 that is rounded, or ceil instead of floor",
        "gaps of exactly 1, 2, 4 ... fall into the neighbouring bucket"),
    "LongGap": Flag(
        "very long time gaps", "a last bucket that is not open",
        "an index out of range after years"),
    "FewEvents": Flag(
        "fewer events than hops", "code that takes as many events as hops for granted",
        "short histories fail or attend to padding"),
    "OneHop": Flag(
        "a single hop", "an axis of length 1 that is squeezed or broadcast",
        "wrong shapes for r = 1"),
    "NoDiagonal": Flag(
        "rows that leave themselves out", "a mask on the wrong axis, or none",
        "every row mostly finds itself"),
    "UnknownCategory": Flag(
        "items of unknown category", "category 0 treated as padding",
        "items without a category lose a part of their code"),
    "EmptyCategory": Flag(
        "a category without items", "offsets that assume an item in every category",
        "candidates of the wrong category"),
    "SeveralTop": Flag(
        "several categories of one probability",
        "ties broken by the higher id, or more than K chosen", "other candidates at every run"),
    "Ties": Flag(
        "tied scores", "ranks that take the best or the worst of a tie",
        "a model that scores everything the same looks perfect, or hopeless"),
    "Masked": Flag(
        "a target that is no candidate", "misses left out of the denominator, or counted as hits",
        "a metric that rises when candidates are taken away"),
    "Cutoff": Flag(
        "a cut-off beyond the candidates", "slices that assume more than k candidates",
        "an error, or an item counted twice, for small catalogues"),
    "Undefined": Flag(
        "users without positives or without negatives", "0 / 0, or such users counted as 0",
        "a mean that depends on users who have no value"),
    "SmallSample": Flag(
        "very few numbers",
        "n in place of n - 1, the reverse, or percentiles that are not interpolated",
        "estimates that are off by one part in n, which large samples hide"),
    "StopGradient": Flag(
        "a path that is not differentiated", "a gradient where there must be none, or the reverse",
        "the same loss, but other training"),
    "Tied": Flag(
        "weights that are shared", "the gradient of one of two uses",
        "shared weights train too slowly"),
    "Evaluation": Flag(
        "evaluation in place of training", "dropout that still drops or scales",
        "scores that change from call to call, or are too small"),
    "FirstStep": Flag(
        "an optimiser's first step", "a bias correction that is missing, or counts steps from 0",
        "a first step of the wrong length, or NaN in every weight"),
    "TinyGradients": Flag(
        "gradients as small as epsilon", "epsilon of another size or at another place",
        "other steps as soon as gradients become small"),
    "Clipped": Flag(
        "gradients above the largest norm", "arrays or entries that are clipped one by one",
        "a step in another direction"),
    "ZeroGradient": Flag(
        "gradients that are all 0", "0 / 0 in a norm or in a step", "NaN in every weight"),
    "LongHistory": Flag(
        "more events than most cases have", "tiles, warps or tables of a fixed size",
        "what lies behind the eighth or the 32nd event is lost"),
    "ManyItems": Flag(
        "many items", "ids that are hashed, cut off or stored in too few bits",
        "items share their counts or their embeddings"),
    "ManyRows": Flag(
        "many rows", "tiles of rows, or batches that are taken to be full",
        "what lies behind the fourth, eighth or 32nd row is lost"),
    "OneUser": Flag(
        "a single user", "an axis of length 1 that is squeezed or broadcast",
        "no answer for a batch of one, or that of another shape"),
    "Far": Flag(
        "values far from 0 beside their spread", "a variance in one pass, as mean of squares less "
        "square of the mean", "noise in place of what is normalised"),
    "Float64": Flag(
        "too fine for float32", "a variance in one pass, as mean of squares less "
        "square of the mean", "noise in place of what is normalised, where values are far from 0"),
    "Switch": Flag(
        "an equation that has several forms", "the form of the other side, or of another switch",
        "results of the release where the paper is meant, or the reverse"),
}
