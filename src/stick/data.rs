//! What an entry can hold: HAProxy's data types in its order, which is that of `show table`.

/// One data type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    ServerId,
    Gpt0,
    Gpc0,
    Gpc0Rate,
    ConnCnt,
    ConnRate,
    ConnCur,
    SessCnt,
    SessRate,
    HttpReqCnt,
    HttpReqRate,
    HttpErrCnt,
    HttpErrRate,
    BytesInCnt,
    BytesInRate,
    BytesOutCnt,
    BytesOutRate,
    Gpc1,
    Gpc1Rate,
    ServerKey,
    HttpFailCnt,
    HttpFailRate,
    Gpt,
    Gpc,
    GpcRate,
    GlitchCnt,
    GlitchRate,
}

/// How a value lies in an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// 32 bits with a sign.
    Signed,
    /// 32 bits.
    Count,
    /// 64 bits.
    Long,
    /// Events in a period.
    Rate,
    /// A text out of few.
    Name,
}

impl Shape {
    /// Words of 32 bits.
    pub fn words(self) -> usize {
        match self {
            Shape::Signed | Shape::Count | Shape::Name => 1,
            Shape::Long => 2,
            Shape::Rate => 3,
        }
    }
}

/// Number of data types.
pub const TYPES: usize = 27;
/// Most elements of an array (`gpc`, `gpt`).
pub const MOST_ELEMENTS: usize = 100;

/// All of them: type, name, shape, whether it is an array.
pub const ALL: [(Data, &str, Shape, bool); TYPES] = {
    use Data::*;
    use Shape::*;
    [
        (ServerId, "server_id", Signed, false),
        (Gpt0, "gpt0", Count, false),
        (Gpc0, "gpc0", Count, false),
        (Gpc0Rate, "gpc0_rate", Rate, false),
        (ConnCnt, "conn_cnt", Count, false),
        (ConnRate, "conn_rate", Rate, false),
        (ConnCur, "conn_cur", Count, false),
        (SessCnt, "sess_cnt", Count, false),
        (SessRate, "sess_rate", Rate, false),
        (HttpReqCnt, "http_req_cnt", Count, false),
        (HttpReqRate, "http_req_rate", Rate, false),
        (HttpErrCnt, "http_err_cnt", Count, false),
        (HttpErrRate, "http_err_rate", Rate, false),
        (BytesInCnt, "bytes_in_cnt", Long, false),
        (BytesInRate, "bytes_in_rate", Rate, false),
        (BytesOutCnt, "bytes_out_cnt", Long, false),
        (BytesOutRate, "bytes_out_rate", Rate, false),
        (Gpc1, "gpc1", Count, false),
        (Gpc1Rate, "gpc1_rate", Rate, false),
        (ServerKey, "server_key", Name, false),
        (HttpFailCnt, "http_fail_cnt", Count, false),
        (HttpFailRate, "http_fail_rate", Rate, false),
        (Gpt, "gpt", Count, true),
        (Gpc, "gpc", Count, true),
        (GpcRate, "gpc_rate", Rate, true),
        (GlitchCnt, "glitch_cnt", Count, false),
        (GlitchRate, "glitch_rate", Rate, false),
    ]
};

impl Data {
    pub fn of(name: &str) -> Option<Data> {
        ALL.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    pub fn name(self) -> &'static str {
        ALL[self as usize].1
    }

    pub fn shape(self) -> Shape {
        ALL[self as usize].2
    }

    pub fn is_array(self) -> bool {
        ALL[self as usize].3
    }

    /// What nodes of a cluster each count for themselves, and what the sum of says something.
    pub fn is_summed(self) -> bool {
        !matches!(self, Data::ServerId | Data::ServerKey | Data::Gpt | Data::Gpt0)
    }

    /// The element that stands for a value of its own where that is not stored: `gpc0` is the first of `gpc`.
    pub(super) fn element(self) -> Option<(Data, usize)> {
        Some(match self {
            Data::Gpt0 => (Data::Gpt, 0),
            Data::Gpc0 => (Data::Gpc, 0),
            Data::Gpc1 => (Data::Gpc, 1),
            Data::Gpc0Rate => (Data::GpcRate, 0),
            Data::Gpc1Rate => (Data::GpcRate, 1),
            _ => return None,
        })
    }
}
