"""The functions that a reader's SQL may call: pure ones, which see nothing but their arguments.

Left out are functions that read files, settings, dictionaries or the machine, that wait or fail on purpose, and that
take the name of another function as a text.
"""

import re

_SCALAR = """
abs accurateCastOrNull acos addDays addHours addMinutes addMonths addSeconds addWeeks addYears age and array arrayAll
arrayAvg arrayConcat arrayCount arrayCumSum arrayDifference arrayDistinct arrayElement arrayElementOrNull arrayEnumerate
arrayExists arrayFilter arrayFirst arrayFirstIndex arrayFlatten arrayIntersect arrayJoin arrayLast arrayMap arrayMax
arrayMin arrayPopBack arrayPopFront arrayProduct arrayPushBack arrayPushFront arrayReverse arrayReverseSort arraySlice
arraySort arrayStringConcat arraySum arrayUniq arrayZip asin assumeNotNull atan bar base64Decode base64Encode bitAnd
bitCount bitOr bitXor caseWithExpression CAST ceil ceiling cityHash64 coalesce concat concatWithSeparator cos countEqual
countSubstrings countSubstringsCaseInsensitive dateDiff date_diff dateName dateTrunc date_trunc divide divideOrNull
editDistance empty endsWith equals exists exp extract extractAll farmHash64 floor formatDateTime formatReadableQuantity
formatReadableSize formatReadableTimeDelta fromUnixTimestamp fromUnixTimestamp64Micro fromUnixTimestamp64Milli
fromUnixTimestamp64Nano greater greaterOrEquals greatest has hasAll hasAny hasToken hasTokenCaseInsensitive hex if
ifNull ilike in indexOf intDiv intDivOrZero isDistinctFrom isFinite isInfinite isNaN isNotDistinctFrom isNotNull isNull
isValidJSON JSONArrayLength JSONExtract JSONExtractArrayRaw JSONExtractBool JSONExtractFloat JSONExtractInt
JSONExtractKeys JSONExtractKeysAndValues JSONExtractRaw JSONExtractString JSONExtractUInt JSONHas JSONLength JSONType
JSON_EXISTS JSON_QUERY JSON_VALUE lambda lcase least left leftPad leftUTF8 length lengthUTF8 less lessOrEquals like ln
locate log log10 log2 lower lowerUTF8 makeDate map mapContains mapContainsKey mapFilter mapKeys mapValues match
materialize minus modulo monthName multiIf multiply multiSearchAny multiSearchAnyCaseInsensitive
multiSearchAnyCaseInsensitiveUTF8 negate not notEmpty notEquals notILike notIn notLike now nullIf or parseDateTime
parseDateTimeBestEffort parseDateTimeBestEffortOrNull pi plus position positionCaseInsensitive
positionCaseInsensitiveUTF8 positionUTF8 pow power rand replace replaceAll replaceOne replaceRegexpAll
replaceRegexpOne reverse reverseUTF8 right rightUTF8 round roundBankers roundDown sign sin sipHash64 splitByChar
splitByNonAlpha splitByString splitByWhitespace sqrt startsWith startsWithUTF8 substr substring substringUTF8
subtractDays subtractHours subtractMinutes subtractMonths subtractSeconds subtractWeeks subtractYears tan timeSlot
toBool toDate toDateOrNull toDateTime toDateTime64 toDateTimeOrNull toDayOfMonth toDayOfWeek toDayOfYear toDecimal128
toDecimal64 toFloat32 toFloat64 toFloat64OrNull toFloat64OrZero toHour toInt32 toInt32OrNull toInt64 toInt64OrNull
toInt64OrZero toIntervalDay toIntervalHour toIntervalMinute toIntervalMonth toIntervalSecond toIntervalWeek
toIntervalYear toISOWeek toISOYear toJSONString tokens toLastDayOfMonth toMinute toMonday toMonth toNullable toQuarter
toSecond toStartOfDay toStartOfFifteenMinutes toStartOfFiveMinutes toStartOfHour toStartOfInterval toStartOfMinute
toStartOfMonth toStartOfQuarter toStartOfSecond toStartOfTenMinutes toStartOfWeek toStartOfYear toString toTypeName
toUInt32 toUInt64 toUInt64OrNull toUInt8 toUnixTimestamp toUnixTimestamp64Micro toUnixTimestamp64Milli
toUnixTimestamp64Nano toWeek toYear toYYYYMM toYYYYMMDD transform trim trimBoth trimLeft trimRight truncate trunc tuple
tupleElement ucase upper upperUTF8 xor yesterday today
"""

_AGGREGATE = """
any anyHeavy anyLast any_value argMax argMin avg avgWeighted corr count covarPop covarSamp entropy first_value
groupArray groupArraySample groupBitAnd groupBitOr groupConcat groupUniqArray histogram kurtPop kurtSamp last_value
mannWhitneyUTest max median medianExact min quantile quantileExact quantileExactExclusive quantileExactInclusive
quantileTDigest quantiles quantilesExact quantilesExactExclusive quantilesExactInclusive quantilesTDigest
simpleLinearRegression skewPop skewSamp stddevPop stddevSamp studentTTest sum sumCount sumKahan topK topKWeighted uniq
uniqCombined uniqExact uniqHLL12 varPop varSamp welchTTest
cume_dist dense_rank denseRank lag lagInFrame lead leadInFrame nth_value ntile percent_rank rank row_number
"""

_ALLOWED = frozenset(_SCALAR.lower().split()) | frozenset(_AGGREGATE.lower().split())
_AGGREGATES = frozenset(_AGGREGATE.lower().split())
_COMBINATOR = re.compile(r"(.+)(?:if|array|distinct|ornull|ordefault|foreach|map)\Z")
MEMBERSHIP = frozenset({"in", "notin"})
"""Functions whose second argument may be a table."""


def is_allowed(name: str) -> bool:
    """Return whether a reader's SQL may call the function; aggregates also as ``countIf``, ``avgOrNull`` and such."""
    lower = name.lower()
    if lower in _ALLOWED:
        return True
    match = _COMBINATOR.match(lower)
    while match:
        if match[1] in _AGGREGATES:
            return True
        match = _COMBINATOR.match(match[1])
    return False
