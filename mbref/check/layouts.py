"""What the components get, by the letters of its axes, for fresh.py; parameters are of `init`.

Letters are sizes: B rows, T events, S keys, J hops, D and E widths, C candidates or classes, G
categories, N items, K behaviours, X numbers of a text; M is N + 1, P is G + 1; a digit is itself.
After a name and its axes, what the numbers are: nothing, of both signs; <N an id 1..N, or 0 for
none; >N one that is never 0; !C a number 0..C-1; ? true or false; # a count; ~ a gap of time; %
from 0 to 1; ^ log of probabilities. Names that begin with p/ are parameters.
"""
LAYOUTS = {
    "layers.dense": "x BTD, p/w DE, p/b E",
    "layers.lookup": "ids BT<N, p/table MD",
    "layers.embed": "ids BT3<N, p/tables/0 MD, p/tables/1 ME, p/tables/2 MD",
    "layers.relu": "x BT",
    "layers.layer_norm": "x BTD, p/gamma D, p/beta D",
    "layers.dropout": "x BTD, draws BTD%",
    "masks.padding": "ids BT<N", "masks.causal": "ids BT<N", "masks.diagonal": "ids BT<N",
    "masks.behaviour": "behaviour BT<K", "masks.same_behaviour": "behaviour BT<K",
    "masks.positions": "ids BT<N",
    "attention.masked_softmax": "scores BTS, allowed BTS?",
    "attention.attention": "q BTD, k BSD, v BSD, allowed BTS?",
    "losses.softplus": "x BT", "losses.log_softmax": "logits BTC",
    "losses.sigmoid_cross_entropy": "logits BT, labels BT?",
    "losses.cross_entropy": "logits BTC, labels BT!C",
    "losses.masked_mean": "values BT, mask BT?",
    "optim.clip_by_global_norm": "w DE, b E",
    "optim.sgd": "w DE, b E, grad_w TDE, grad_b TE",
    "optim.adam": "w DE, b E, grad_w TDE, grad_b TE",
    "metrics.greater_and_ties": "scores BC, target B!C, allowed BC?",
    "metrics.hit_rate": "g C#, e C#", "metrics.mrr": "g C#, e C#", "metrics.ndcg": "g C#, e C#",
    "metrics.recall_many": "scores BC, positive BC?, allowed BC?",
    "metrics.ndcg_many": "scores BC, positive BC?, allowed BC?",
    "metrics.auc": "scores BC, positive BC?, allowed BC?",
    "metrics.macro_auc": "scores BC, positive BC?",
    "metrics.expected_sampled_rank": "r C>N", "metrics.rank_plug_in": "r_sampled C>N",
    "metrics.bias_variance_estimator": "metric C%, prior C%",
    "metrics.mean_and_spread": "values C", "metrics.paired_bootstrap": "a C, b C, picks TC!C",
    "hmar.behaviour_mask": "behaviour BT<K", "hmar.indicator": "item BT<N, behaviour BT<K",
    "hmar.candidate_counts": "item BT<N, behaviour BT<K, candidate BT<N",
    "hmar.code": "item_code BTD, counts BTK#", "hmar.input_code": "item BT<N, counts BTK#",
    "hmar.candidate_code": "candidate BC<N, counts BCK#",
    "hmar.behaviour_encoder": "x BTD, behaviour BT<K",
    "hmar.sequence_encoder": "s BTD, residual BTD, real BT?",
    "hmar.class_logits": "q BTD, z BTD",
    "hmar.ranking_loss": "positive BT, negative BT, weight BT%, mask BT?, has_negative BT?",
    "hmar.score": "item BT<N, behaviour BT<K, counts BTK#, history BMK#, candidate BC>N",
    "hmar": "item BT<N, behaviour BT<K, counts BTK#, next_item BT<N, next_behaviour BT<K, "
            "next_counts BTK#, negative BT<N, negative_counts BTK#",
    "hmar.released": "item BT<N, behaviour BT<K, counts BTK#, next_item BT<N, negative BT<N, "
                     "next_weight BT%, next_label BT!K, next_counts BTK#",
    "atrank.time_bucket": "gap BT~",
    "atrank.behaviour_code": "item BT<N, gap BT~, category M<G",
    "atrank.attention_block": "query BCD, memory BTD, allowed BCT?",
    "atrank.score": "item BT<N, gap BT~, category M<G, candidate BC<N",
    "atrank": "item BT<N, gap BT~, category M<G, candidate BC<N, label BC?",
    "atrank.group_code": "object_0 BT<N, action_0 BT<K, gap_0 BT~, features_0 M2<G",
    "atrank.target_code": "features_0 M2<G, features_1 M2<G, candidate BC<N",
    "atrank.user_vectors": "x BCD, states BSD, real BS?",
    "atrank.groups_score":
        "object_0 BT<N, action_0 BT<K, gap_0 BT~, features_0 M2<G, "
        "object_1 BS<N, action_1 BS<K, gap_1 BS~, features_1 M2<G, candidate BC<N",
    "atrank.groups":
        "object_0 BT<N, action_0 BT<K, gap_0 BT~, features_0 M2<G, object_1 BS<N, action_1 BS<K, "
        "gap_1 BS~, features_1 M2<G, object_2 BJ<N, action_2 BJ<K, gap_2 BJ~, features_2 M2<G, "
        "candidate BC<N, label BC?",
    "dmran.history_code": "item BT<N, gap BT~, category M<G",
    "dmran.item_attention": "H BTD, real BT?", "dmran.redundancy": "A BJT%",
    "dmran.alignment": "M BJD, allowed BJJ?", "dmran.feature_attention": "M BJD, allowed BJJ?",
    "dmran.vanilla": "M BJD, i_c BCD, real BJ?", "dmran.fusion": "h BCD, h_hat BCD",
    "dmran.score": "item BT<N, gap BT~, category M<G, candidate BC<N",
    "dmran": "item BT<N, gap BT~, category M<G, candidate BC<N, label BC?",
    "hiersrec.item_features": "item BT<N, category M<G, texts MX",
    "hiersrec.encoder_block": "h BTD, real BT?",
    "hiersrec.encode": "item BT<N, category M<G, texts MX",
    "hiersrec.category_logp": "s BD", "hiersrec.projection": "logp BP^, oracle B!P",
    "hiersrec.joined": "s BD, oracle B!P",
    "hiersrec.item_logits": "q BQ, item 11<N, category M<G, texts MX",
    "hiersrec.candidates_topk": "logp BC^", "hiersrec.candidates_mass": "logp BC^",
    "hiersrec.candidates_budget": "logp BC^, category M!C",
    "hiersrec.candidate_items": "chosen BC?, category M!C",
    "hiersrec.score": "item BT<N, category M<G, texts MX, oracle B!P, candidate BC>N",
    "hiersrec": "item BT<N, next BT<N, known N?, category M<G, texts MX",
    "hiersrec.candidates_share": "logp BC^, category M!C, rho T%",
    "hiersrec.places": "queries BD, weights ND, chosen BC?, category M!C, target B>N",
    "hiersrec.gap": "full_greater C#, full_ties C#, greater C#, ties C#, inside C?",
    "hiersrec.inject_target": "allowed BN?, target B>N",
    "hiersrec.backfill": "allowed BN?, popularity N#",
    "hiersrec.two_level_logp": "category_logp BC^, item_logits BN, category M!C",
}
# the parameters of the family's model that a part of it has: names, or all below a path
PARAMS = {
    "hmar.code": "indicator feature", "hmar.input_code": "item position indicator feature",
    "hmar.candidate_code": "item indicator feature", "hmar.class_logits": "class1 class2",
    "hmar.behaviour_encoder": "blocks/0/behaviour/",
    "hmar.sequence_encoder": "blocks/0/sequence/", "atrank.attention_block": "self/0/",
    "atrank.behaviour_code": "tables groups", "atrank.group_code": "tables groups",
    "atrank.target_code": "tables groups", "atrank.user_vectors": "vanilla",
    "dmran.history_code": "V T W_0", "dmran.item_attention": "W_s1 W_s2",
    "dmran.alignment": "W_s3 W_s4 W_s5 b_s1 b_s2", "dmran.fusion": "W_f1 W_f2 b_f",
    "dmran.feature_attention": "W_s3 W_s4 W_s5 b_s1 b_s2 after", "dmran.vanilla": "van",
    "hiersrec.item_features": "E_I E_C", "hiersrec.encoder_block": "blocks/0/",
    "hiersrec.encode": "in position blocks ln E_I E_C", "hiersrec.category_logp": "category",
    "hiersrec.projection": "W_p E_C ln_logits",
    "hiersrec.joined": "category W_p E_C ln_logits",
    "hiersrec.item_logits": "item query value b_i E_I E_C",
    "hmar.released": "item position indicator feature blocks class1 class2",
} | dict.fromkeys(["hmar", "hmar.score", "atrank", "atrank.score", "atrank.groups",
                   "atrank.groups_score", "dmran", "dmran.score", "hiersrec", "hiersrec.score"], "")
# how many of each letter, from and to, and the flag of such a case
SMALL = {"B": (2, 4), "T": (2, 9), "S": (2, 9), "J": (2, 9), "C": (2, 9), "G": (2, 9),
         "N": (2, 12), "K": (2, 4), "D": (4, 12), "H": (1, 3), "X": (1, 3)}
MANY = {"C": (65, 70), "G": (65, 70), "N": (257, 300), "K": (5, 9)}
SIZES = (
    ("LongHistory", SMALL | MANY | {"T": (33, 40), "S": (33, 40)}),
    ("OneUser", dict.fromkeys("BTSJC", (1, 1)) | {
        "G": (1, 3), "N": (1, 4), "K": (1, 3), "D": (4, 8), "H": (1, 4), "X": (1, 3)}),
    ("ManyRows", SMALL | {"B": (33, 36), "D": (66, 72), "H": (1, 6)}),
    ("ManyItems", SMALL | {"C": (257, 300), "G": (257, 300), "N": (1025, 1100), "K": (9, 12),
                           "D": (9, 12), "H": (9, 12), "J": (9, 12)}),
    ("Heads", dict.fromkeys(SMALL, (4, 4))),
    ("LongHistory", SMALL | MANY | {"T": (129, 140), "S": (129, 140), "B": (1, 2)}),
    ("ManyItems", SMALL | {"N": (65537, 70000), "T": (257, 264), "B": (1, 1), "D": (4, 4)}))
LETTERS = {"items": "N", "categories": "G", "behaviours": "K", "count": "K", "width": "D",
           "heads": "H", "hops": "J", "text": "X", "item_width": "E", "category_width": "X",
           "projection_width": "E", "table_width": "E", "hidden": "X"}  # of settings
# arrays that are 0 where the other is; and ids of which some are 0 among the events, too
FOLLOW = {"next_behaviour": "next_item", "next_counts": "next_item", "next_weight": "next_item",
          "next_label": "next_item", "negative": "next_item", "negative_counts": "negative"}
NONE = {"ids", "candidate", "next", "next_item", "negative", "category"}
