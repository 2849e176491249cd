"""Numbers that the papers print, to stand beside ours. They were measured on other data."""

DMRAN_TABLE_2 = {  # AUC, DMRAN (IJCAI 2019), table 2: Amazon Electronics, Amazon Clothing
    "BPR-MF": (0.8022, 0.6069),
    "Bi-LSTM": (0.8734, 0.6590),
    "Bi-LSTM+Attention": (0.8766, 0.6612),
    "CNN+Pooling": (0.8804, 0.6696),
    "ATRank": (0.8910, 0.6725),
    "DMRAN_No_Time": (0.8712, None),
    "DMRAN_Item": (0.8896, 0.6714),
    "DMRAN_Feature": (0.8835, 0.6468),
    "DMRAN": (0.8932, 0.6779),
}
DMRAN_HOPS = {2: 0.8896, 8: 0.8921, 10: 0.8932, 15: 0.8915, 20: 0.8910}  # AUC on Electronics; r = 5 is in a figure only
