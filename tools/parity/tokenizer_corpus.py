"""Text to learn the test vocabulary from, and texts to tokenise: written for this purpose, in many languages and scripts."""

from __future__ import annotations

import random

TRAINING = """
a red apple on a white table. a photograph of an astronaut riding a horse on the moon. a watercolour painting of a small
house by the sea at sunset, soft light, highly detailed. the quick brown fox jumps over the lazy dog. i'll paint what you've
asked for; it's the artist's choice, they're sure we'd like it, and i'm not late. don't stop! two cats, three dogs and
2024 birds sit in 15 trees. portrait of an old fisherman with a grey beard, oil on canvas, dramatic lighting, sharp focus.
a castle in the clouds, fantasy landscape, rivers and mountains, morning fog, wide angle view, trending colours, 4k, 8k.
strawberry cake with cream and chocolate on a wooden plate. a robot reading a book in the library. the ship sailed north.
ein roter apfel auf einem weißen tisch. straße, größe, füße, mädchen und schöne grüne bäume im märchenwald.
un château sur la colline, l'été à la plage, une forêt enchantée, des fleurs dans le jardin, garçon et fille, œuvre d'art.
una niña pequeña con un paraguas rojo bajo la lluvia, el corazón de la montaña, mañana será otro día, ¿qué es esto? ¡hola!
uma maçã vermelha, coração, o pássaro voa sobre o oceano, não há nuvens, canção de verão, avião e trem na estação.
una mela rossa sul tavolo, perché il cielo è così blu, città antica, un gatto nero dorme, il mare e le montagne.
czerwone jabłko na stole, żółta łódź, święto, źródło, zażółć gęślą jaźń, piękny zamek w górach, książka i kwiat.
červené jablko, příliš žluťoučký kůň úpěl ďábelské ódy, krásná zahrada, město v noci, řeka a les.
kırmızı elma, güneş, çiçek, ışık, istanbul'da bir sabah, büyük şehir, ağaç ve deniz, küçük kuş uçuyor.
một quả táo đỏ trên bàn, con mèo ngủ, bầu trời xanh, phở và cà phê sữa, thành phố về đêm, hoa sen trong hồ nước.
ένα κόκκινο μήλο στο τραπέζι, ο ουρανός είναι μπλε, ήλιος και θάλασσα, μικρός κήπος, σοφία, οδυσσεύς, νησί και καράβι.
красное яблоко на столе, старый замок в горах, ночной город под дождём, маленькая девочка с зонтом, лес и река, кошка спит.
червоне яблуко, сонце і море, їжак у тумані, гарний будинок, ґанок, дівчина співає пісню.
تفاحة حمراء على الطاولة، قطة صغيرة تنام في الشمس، مدينة قديمة بجانب البحر، السماء زرقاء والجبال عالية.
תפוח אדום על השולחן, חתול ישן בשמש, עיר עתיקה ליד הים, שמיים כחולים והרים גבוהים, שלום עולם.
मेज़ पर एक लाल सेब, नीला आकाश और ऊँचे पहाड़, छोटी लड़की छाता लेकर चलती है, सूरज और समुद्र, नमस्ते दुनिया।
টেবিলে একটি লাল আপেল, নীল আকাশ, ছোট মেয়ে, সূর্য ও সমুদ্র। மேசையில் ஒரு சிவப்பு ஆப்பிள், நீல வானம், சிறிய பூனை.
แอปเปิ้ลสีแดงบนโต๊ะ แมวตัวเล็กนอนหลับ ท้องฟ้าสีฟ้าและทะเล เมืองเก่าในเวลากลางคืน สวัสดีชาวโลก
桌子上的一个红苹果，蓝天白云，小猫在睡觉，古老的城市，山和海，夜晚的月亮，一幅美丽的风景画。
桌子上的一個紅蘋果，藍天白雲，古老的城市與大海，美麗的風景。
テーブルの上の赤いりんご、青い空、小さな猫が眠っている、古い町と海、夜の月、美しい風景画。カメラとロボット。
탁자 위의 빨간 사과, 파란 하늘과 바다, 작은 고양이가 자고 있다, 오래된 도시의 밤, 아름다운 풍경화, 안녕하세요.
წითელი ვაშლი მაგიდაზე, ლურჯი ცა და ზღვა. կարմիր խնձոր սեղանի վրա, կապույտ երկինք. ቀይ ፖም በጠረጴዛው ላይ፣ ሰማያዊ ሰማይ።
😀 😂 🥰 ❤️ ❤️‍🔥 👍🏽 👩‍🚀 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 🇯🇵 🎨 🖼️ 🍎 🍓 🚀 ✨ ☀️ ☂️ ⭐ 1️⃣ →←↑↓ ≤≥≠ ± × ÷ € £ ¥ © ® ™ … – — “quote” ‘single’ «guillemets» „low“ °C ½ ² ³ №
"""

# Texts for which a rule of the tokenizer is decisive, or which show a script.
HAND_WRITTEN = [
    "", " ", "   ", "\n", "\t\r\n ", "a", "A", "!", "!!", "a red apple", "A Red APPLE", "a  red\tapple\n", " a red apple ",
    "a red apple.", "a,b;c:d", "(masterpiece:1.2), best quality", "BREAK", "a--b", "a_b", "a/b\\c", "#hashtag @name", "50% off $5",
    "it's", "IT'S", "they're we've I'm I'll he'd don't can't", "'s", "'S", "s's", "'sup", "''s", "'re're", "'r'v'l", "rock'n'roll",
    "it’s they’re “quoted” ‘single’", "O'Brien's", "'ll'd't've'm", "don''t", "'", "''", "\"'\"", "'tis", "x'd9", "it's!'s", "!'s",
    "1", "12", "2024", "3.14", "1,000,000", "v2.0", "4k8k", "٣٤٥", "१२३", "๑๒๓", "一二三", "ⅣⅫ", "①②", "½¾", "x²+y³", "௧௨", "𝟙𝟚", "１２３",
    "café", "cafe\u0301", "naïve", "nai\u0308ve", "Å", "A\u030a", "\u212b", "ﬁne ﬂow", "straße", "STRASSE", "Straẞe", "ẞ", "ÄÖÜ äöü",
    "A\u0308O\u0308", "Çà et là", "œuvre ŒUVRE", "Þór Ðæ", "Ångström", "łódź ŁÓDŹ", "zażółć gęślą jaźń", "ZAŻÓŁĆ", "příliš žluťoučký kůň",
    "İstanbul", "ISTANBUL", "ıI", "iİ", "I\u0307", "kırmızı elma KIRMIZI", "ǅ ǆ Ǆ", "ŉ", "\u0149", "ǰ", "Ω \u2126", "K \u212a", "ſ", "ª º",
    "ὈΔΥΣΣΕΎΣ", "ΣΑΣ", "Σ", "ΟΔΟΣ ΣΟΦΟΣ.", "σς", "ένα κόκκινο μήλο", "ΈΝΑ ΚΌΚΚΙΝΟ", "ᾳ ᾼ ᾲ", "ΐ \u0390 ι\u0308\u0301", "ά \u1f71 \u03ac",
    "красное яблоко", "КРАСНОЕ ЯБЛОКО", "ёлка Ёлка е\u0308лка", "й и\u0306", "їжак у тумані", "Ґанок", "ꙋ Ꙋ", "Ӏ ӏ",
    "تفاحة حمراء", "السَّلامُ عَلَيْكُم", "لا إله", "ﷺ", "ـــ", "۱۲۳ فارسی می‌خواهم", "پیٹر", "א ב שָׁלוֹם", "שלום עולם", "יִ \ufb1d", "שׁ \ufb2a",
    "लाल सेब", "क़ \u0958", "क्षत्रिय", "ज़िन्दगी", "नमस्ते दुनिया।", "টেবিলে লাল", "ো \u09cb \u09c7\u09be", "சிவப்பு ஆப்பிள்", "ொ", "ಕನ್ನಡ", "മലയാളം", "తెలుగు",
    "แอปเปิ้ลสีแดง", "น้ำ นํ้า", "ສະບາຍດີ", "ជំរាបសួរ", "မြန်မာ", "བོད་ཡིག", "ආයුබෝවන්", "ᠮᠣᠩᠭᠣᠯ", "ትንሽ ቤት፣", "ᏣᎳᎩ ꮳꮃꭹ", "ⴰⵣⵓⵍ", "ᚠᚢᚦ", "𐐀𐐨", "𐍈𐌰",
    "红苹果", "紅蘋果", "赤いりんご", "アカ ｱｶ", "か\u3099 が", "ガ ｶﾞ", "々〆", "日本語とEnglish混在", "桌子上的一个红苹果，蓝天白云", "𠮷野家", "豈 \uf900", "金 \uf90a", "〇", "ㄅㄆㄇ",
    "빨간 사과", "한글", "\u1112\u1161\u11ab\u1100\u1173\u11af", "ㅋㅋㅋ", "\u1112\u1161", "가\u11a8", "각", "ᄒᆞᆫ글", "안녕하세요 WORLD",
    "წითელი ვაშლი", "ᲬᲘᲗᲔᲚᲘ", "կարմիր ԽՆՁՈՐ", "և", "😀", "😀😀😀", "❤️", "❤", "❤\ufe0e", "👍🏽", "👩‍🚀", "👨‍👩‍👧‍👦 family", "🏳️‍🌈", "🇩🇪🇯🇵", "1️⃣2️⃣", "#️⃣",
    "🍎 apple", "a🍎b", "🎨🖼️", "🫠🪿", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "→←", "≤≥≠", "∑∫√", "€£¥", "©®™", "…", "–—", "«»„“", "¿¡", "℃ ℉", "№",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "ＡＢＣ ａｂｃ", "Ｒｅｄ　Ａｐｐｌｅ！", "ℝℂ", "℠", "㎞ ㍻", "①", "🅰🅱", "ᴬᴮ", "ₐₑ", "ʰʲ", "ᵃ",
    "a\u00a0b", "a\u2003b", "a\u200bb", "a\u200db", "a\u2060b", "\ufeffa", "a\u3000b", "a\u1680b", "a\u202fb", "a\u205fb", "a\u2028b\u2029c", "a\x85b", "a\x0bb\x0cc", "a\x1cb\x1dc\x1ed\x1fe",
    "a\u180eb", "a\xadb", "a\u034fb", "\u2000\u2001\u2002a\u2004\u2005\u2006b\u2007\u2008\u2009c\u200a",
    "a\x00b", "\x01\x02", "\x07bell", "\x1b[31mred\x1b[0m", "\x7f", "a\x80\x9fb", "\ufffd", "\ufffe", "\ue000", "\U0010fffd", "\U000f0000", "\u0378", "\U0001fbf0",
    "a\u0301\u0323b", "a\u0323\u0301b", "\u0301", "a\u0301\u0301\u0301", "e\u0302\u0301 ế", "q\u0307\u0323", "\u0344", "\u0340\u0341", "\u1e9b\u0323", "\u0f73", "\U0001d15e", "\u2adc",
    "o\u031b\u0309", "ở", "một quả táo đỏ", "Mo\u0323\u0302t qua\u0309 ta\u0301o", "ệ ê\u0323 e\u0323\u0302", "𑄮 \U00011131\U00011127", "\U00011935\U00011930", "\u0061\u0eba\u0323", "a\u1ac1\u0323", "a\u0d3b\u0323",
    "\u1c89\u1c8a", "\ua7cb\ua7dc\u0264", "\U0002ebf0\U0002ee5d", "\U00010d50\U00010d70", "\U00010d40", "\U0001ccf0\U000116d0", "\U00016ea0", "\ua7ce",
    "<|endoftext|>", "<|startoftext|>", "<|ENDOFTEXT|>", "<|EndOfText|>", "<|StartOfText|>", "a<|endoftext|>b", "a <|endoftext|> b", "<|endoftext|><|endoftext|>", "<|startoftext|>a<|endoftext|>",
    "<|endoftext", "endoftext|>", "<|endoftext |>", "< |endoftext|>", "<<|endoftext|>>", "!<|endoftext|>!", "!<|ENDOFTEXT|>!", "<|ENDOFTEXT|>!!", "x<|STARTOFTEXT|>?y", "<|endoftext|>'s", "e<|endoftext|>\u0301",
    "</w>", "a</w>", "apple</w> apple", "<w>", "Ġa", "ÃĊĠ", "Ċ", "ð", "<unk>", "[PAD]", "[MASK]", "a!b!c", "hello world!", "!apple", "wow!!!", "¡hola!", "! !", "！",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "abcabcabcabcabcabcabc", "xyzzy", "zzzzzzzzzzzz", "-" * 40, "=" * 77, "." * 100, "ab" * 50, "кот" * 30, "猫" * 40, "🐱" * 30,
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore magna aliqua.",
    "a photograph of an astronaut riding a horse on the moon, highly detailed, sharp focus, 8k, trending on artstation",
    "apple " * 73, "apple " * 74, "apple " * 75, "apple " * 76, "apple " * 77, "apple " * 150, "x " * 75 + "<|endoftext|> tail", "x " * 74 + "Größe über alles", "x " * 74 + "日本語 テスト",
    "x " * 75 + "Ünïcödé TAIL, it's cut!", "x " * 75 + " </w> \x1c", "! " * 80, "❤️ " * 40, "1234567890" * 9, "word, " * 60, "don't " * 60,
]

# Code point ranges from which random texts are drawn.
RANGES = [
    (0x20, 0x7E), (0x20, 0x7E), (0x41, 0x5A), (0xA0, 0xFF), (0x100, 0x24F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F),
    (0xE00, 0xE7F), (0x1100, 0x11FF), (0x1E00, 0x1EFF), (0x1F00, 0x1FFF), (0x2000, 0x206F), (0x20A0, 0x214F), (0x2150, 0x218F), (0x2600, 0x27BF), (0x3040, 0x30FF), (0x4E00, 0x4FFF),
    (0xAC00, 0xACFF), (0xF900, 0xFAFF), (0xFE00, 0xFE0F), (0xFF00, 0xFFEF), (0x10400, 0x1044F), (0x1D400, 0x1D7FF), (0x1F300, 0x1F64F), (0x1F900, 0x1FAFF), (0x2EBF0, 0x2EBFF), (0x0, 0x1F),
]
PIECES = ["<|endoftext|>", "<|startoftext|>", "<|ENDOFTEXT|>", "'s", "'LL", "</w>", " ", "  ", "!", "\u200d", "\ufe0f", "apple", "Red ", "straße", "ΣΑΣ ", "123 "]


def random_texts(count: int, seed: int) -> list[str]:
    """Texts of a few runs, each from one range or of known pieces."""
    generator = random.Random(seed)
    texts = []
    for _ in range(count):
        text = ""
        for _ in range(generator.randint(1, 8)):
            if generator.random() < 0.4:
                text += generator.choice(PIECES)
            else:
                low, high = generator.choice(RANGES)
                text += "".join(chr(generator.randint(low, high)) for _ in range(generator.randint(1, 6)))
        texts.append(text)
    return texts
