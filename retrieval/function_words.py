"""The words that sentences are built with, by language: they say nothing of what a question is about.

Articles, pronouns, prepositions, conjunctions, auxiliaries and question words, in their everyday forms. A word that
also names things (the Turkish "yer", the Dutch "kant") is left out: it would be missed more than it disturbs.
"""

_WORDS = {
    "en": """
        a about after all also am an and any are as at be been before being between both but by can could did do does
        doing done down during each either few for from further had has have having he her here hers him his how i if in
        into is it its itself may me might more most must my neither no nor not of off on once only or other our ours
        out over own same shall she should so some such than that the their theirs them then there these they this
        those through to too under until up upon us very was we were what when where whether which while who whom whose
        why will with would you your yours""",
    "de": """
        aber alle allem allen aller alles als also am an auch auf aus bei beim bin bis bist da damit dann das dass dein
        deine dem den denen denn der deren des dessen die dies diese diesem diesen dieser dieses doch dort du durch ein
        eine einem einen einer eines er es euch euer für gab gibt habe haben hat hatte hatten hier ich ihm ihn ihnen ihr
        ihre ihrem ihren ihrer im in ins ist ja jede jedem jeden jeder jedes jener kann kein keine können könnte man
        mein meine mich mir mit muss müssen nach nicht noch nun nur ob oder ohne sehr sein seine seinem seinen seiner
        seit sich sie sind so soll sollte über um und uns unser unsere unter vom von vor wann war waren warum was weil
        welche welchem welchen welcher welches wem wen wenn wer werden wie wieso will wir wird wo wofür woher wohin
        worden wurde wurden zu zum zur zwischen""",
    "fr": """
        à ai ainsi après as au aucun aussi autre aux avait avant avec avez avoir avons c ce ceci cela celle celles celui
        ces cet cette ceux chez combien comme comment d dans de depuis des donc dont du elle elles en entre est et était
        étaient été être eu fait il ils j je l la laquelle le lequel les lesquelles lesquels leur leurs lors lorsque lui
        m ma mais me mes moi mon n ne ni nos notre nous on ont ou où par parce pas pendant peut peuvent plus pour
        pourquoi qu quand que quel quelle quelles quels qui quoi s sa sans se sera ses si soit son sont sous sur t ta te
        tes toi ton tous tout toute toutes tu un une vers vos votre vous y""",
    "es": """
        a al algo algún alguna algunas alguno algunos ante antes aquel aquella así aunque cada como cómo con contra cuál
        cuáles cuando cuándo cuánta cuántas cuánto cuántos cuya cuyo de del desde donde dónde durante e el él ella ellas
        ellos en entre era eran es esa esas ese eso esos esta está están estaba estas este esto estos fue fueron ha han
        hasta hay he la las le les lo los más me mi mis muy ni no nos nosotros o os otra otras otro otros para pero poco
        por porque pueda puede pueden que qué quien quién quienes quiénes se ser será si sí sido sin sobre son su sus
        también te tiene tienen tu tus u un una unas uno unos y ya yo""",
    "pt": """
        a à ao aos aquela aquele aquilo as às até com como cada cuja cujo da das de dela dele deles depois do dos e é
        ela elas ele eles em entre era eram essa essas esse esses esta está estão estas este estes eu foi foram há isso
        isto já lhe mais mas me meu minha muito na não nas nem no nos nós nossa nosso num numa o onde os ou para pela
        pelas pelo pelos pode podem por porque porquê quais qual qualquer quando quanta quantas quanto quantos que quê
        quem são se seja sem ser será seu seus sob sobre sua suas também te tem têm ter teu tinha tu um uma umas uns
        você vocês""",
    "it": """
        a abbia ad agli ai al alla alle allo anche c che chi ci ciò co coi col come con cosa così cui da dagli dai dal
        dalla dalle dallo degli dei del della delle dello di dopo dove e è ed era erano essere fa fra fu furono gli ha
        hai hanno ho i il in io l la le lei li lo loro lui ma mi mia mio ne negli nei nel nella nelle nello noi non
        nostra nostro o ogni per perché più può possono prima quale quali quando quanta quante quanti quanto quella
        quelle quelli quello questa queste questi questo se sei senza si sia siamo siete sono sta stata state stati
        stato su sua sue sugli sui sul sulla sulle sullo suo suoi tra tu tua tuo un una uno vi voi all d dall dell l
        nell quell quest sull""",
    "nl": """
        aan al alle als altijd bij daar dan dat de deze die dit door dus een elk en er had hadden heb hebben heeft hem
        het hij hoe hoeveel hun ik in is ja je jij jou jouw jullie kan kunnen maar mag me meer men met mij mijn moet
        moeten na naar niet nog nu of om omdat onder ons ook op over te tegen toch toen tot tussen u uit uw van veel
        voor waar waarom wanneer waren was wat we welk welke wel werd werden wie wij wordt worden zal ze zich zij zijn
        zo zonder zou zouden""",
    "sv": """
        alla allt att av blev bli blir de dem den denna deras dess dessa det detta dig din dina ditt du där efter ej
        eller en er era ett från för före ha hade han hans har henne hennes hon honom hur här i icke in inte jag ju kan
        kunde man med mellan men mig min mina mitt mot mycket ni nu när någon något några och om oss på sedan sig sin
        sina sitt ska skall skulle som så till under upp ut utan vad var vara vars varför varit vart vem vi vid vilka
        vilken vilket än är över""",
    "da": """
        af alle alt at blev blive bliver da de dem den denne der deres det dette dig din dine disse dog du efter eller
        en end er et for fra få får ham han hans har havde hende hendes her hos hun hvad hvem hver hvilken hvilke
        hvilket hvis hvor hvordan hvorfor hvornår i ikke ind ja jeg jer kan kunne man mange med meget mellem men mig min
        mine mit mod må ned nej noget nogle nu når og også om op os over på sig sin sine sit skal skulle som sådan til
        ud under var ved vi vil ville vor være været""",
    "no": """
        alle at av ble bli blir da de deg dem den denne der dere deres det dette din disse du eller en er et etter for
        fra før få går ha hadde han hans har henne hennes her hos hun hva hvem hver hvilken hvilke hvilket hvis hvor
        hvordan hvorfor i ikke inn ja jeg kan kunne man mange med meg mellom men min mine mitt mot mye må ned nei noe
        noen nå når og også om opp oss over på seg sin sine sitt skal skulle som så til ut under var ved vi vil ville
        være vært vår""",
    "fi": """
        ei eikä en ennen että he hän häneen hänen ilman itse ja jo joka jolla jonka joissa joista joita jos jossa josta
        jota jotka kanssa kenen keitä kuin kuinka kuka kun me mihin mikä miksi millainen milloin minä missä mistä mitkä
        mitä monta myös mutta ne niiden niin niitä noin nuo nyt näiden nämä näitä ole olen oli olivat olla on ovat saa
        se sekä sen siihen siinä siitä silloin sinä sitä tai tai te tuo tuon tämä tämän tässä tästä tätä voi voidaan
        voivat vaan vain vai""",
    "hu": """
        a abban ahhoz ahol ami amely amelyek amelyet amikor annak arra arról az azok azt azzal be csak de e ebben egy
        egyik el én erre és ez ezek ezt fel ha hány hogy hogyan hol honnan hová is itt két ki kik kit kivel le lehet
        lesz maga már még meg mely melyik melyek mert mi miért mikor milyen mint minden mit mivel nagyon nem nincs ő ők
        olyan ott össze pedig s saját se sem sok szerint te ti úgy vagy van vannak volt voltak volna""",
    "pl": """
        a albo ale bez był była było były być będzie będą ci co czego czy czyli dla do gdy gdzie go i ich ile im inne
        iż ja jak jaka jaki jakie jakim jako je jego jej jest jestem jeszcze jeśli już kiedy kim kogo kto która które
        którego której którym których który którzy lub ma mają mi mnie może można mogą mu my na nad nam nas nasz nie
        nich niej nim o od on ona one oni ono oraz po pod poza przed przez przy są się skąd swoje swój ta tak także tam
        te tego tej ten teraz to tu ty tych tylko tym u w wam was we więc wszystkie wszystko z za ze że żeby""",
    "cs": """
        a aby ale ani asi až během bez bude budou by byl byla byli bylo být co což do ho i já jak jaká jaké jako jaký je
        jeho jej její jejich jen ještě ji již jsem jsme jsou k kam kde kdo kdy kdyby když ke kolik která které kterého
        který kterou kteří má mají mezi mi mě můj může mohou my na nad nám nás náš ne nebo nebyl není než nic o od on
        ona oni pak po pod podle pokud pro proč protože před při s se si sice sobě své svého svůj ta tak také tam te
        tedy ten tento této to toho tom tomu tu ty tím u už v vám vás váš ve více však všechny vy z za zda že""",
    "ro": """
        a acea aceasta această aceea acei aceia acel acela acele acelea acest acesta aceste acestea acești acolo ai aici
        al ale am ar are așa asta au avea avut bine că când care căror cărui ce cei cel cele cine cineva cât câte câți
        cu cum da dacă dar de deci decât deși despre din după e ea ei el ele era erau este eu face fel fi fie fiind fost
        iar îi îl îmi în înainte între își îți la le li lor lui mai mea mei mele meu mi mult multe nici nimic noastră
        nostru nu o ori pe pentru peste pot poate prin sa să sau se și său sale săi sub sunt tău te toate tot toți tu un
        una unde unei unele unor unui va vor voi vostru""",
    "tr": """
        acaba ama ancak artık bana bazı belki ben beni benim bir biri birkaç biz bize bizi bizim böyle bu buna bunda
        bundan bunlar bunları bunun bunu çok çünkü da daha de değil defa diye dolayı en gibi göre hangi hangisi hem
        henüz hep hepsi her hiç için ile ilgili ise ki kaç kadar kendi kendine kez kim kime kimi kimin kimse madem mi mı
        mu mü nasıl ne neden nedir nelerdir nere nerede nereye nereden niçin niye o olan olarak olduğu oldu olsa olur
        ona ondan onlar onların onu onun oysa öyle sanki şey siz size sizin sonra şu şöyle tüm ve veya ya yani yine
        zaten""",
    "vi": """
        ai anh bao bằng bị bởi bởi các cách cái cần càng chỉ cho chúng chưa có cũng của cùng đã đang đâu để đến đều đi
        điều do đó được gì giữa hay hết hơn khi không là lại lên luôn mà mấy mình mọi một mỗi này nào nếu nên nhau
        nhiều như nhưng những nó nữa ở phải qua ra rằng rất rồi sao sẽ tại tất theo thế thì tôi trên trong trước từ và
        vào vẫn về vì việc với vừa""",
    "id": """
        ada adalah agar akan aku anda antara apa apakah atas atau bagaimana bagi bahwa bahwa banyak beberapa belum
        berapa bila bisa boleh bukan dalam dan dapat dari daripada dengan di dia hanya harus ia ini itu jika juga kalau
        kami kamu kapan karena ke kepada ketika kita lagi lain lebih maka mana masih melalui mengapa mereka namun oleh
        pada paling para pernah pun saat sampai sangat saya sebagai sebelum sebuah secara sedang sejak selama semua
        seperti sesudah setelah setiap siapa sudah supaya tanpa telah tentang terhadap tetapi tidak untuk yaitu
        yang""",
    "ca": """
        a al als amb aquell aquella aquest aquesta aquestes aquests cap com d de del dels des durant el ella elles ells
        els em en entre era eren és est estan està ets fins fou ha han hi i ja jo l la les li ll lo llur m mentre més
        meu meva molt na ni no nos nosaltres o on per però perquè pot poden quan quant quanta quantes quants que què
        quin quina quines quins qui s sense ser seu seus seva seves si sobre són sou també te té tenen teu tot tots un
        una unes uns va van""",
    "ru": """
        а без бы был была были было быть в вам вас весь во вот все всё всех вы где да для до его ее её если есть еще ещё
        же за и из или им их к как какая какие какого какой какова каков каково когда кого кому которая которого
        которое которой который которые кто ко куда ли мне меня мы на над нам нас наш не него нее неё нет ни них но ну о
        об однако он она они оно от откуда очень по под почему при про с со сам свой себя сколько так также такой там те
        тем то того тоже той только том тот ты у уже чего чей чем что чтобы эта эти это этого этой этот я""",
    "uk": """
        а або але без би була були було бути в вам вас весь вже ви від він все всі вона вони воно де для до з за зі і із
        із її їх його й коли кого кому які який яка яке якого якої якщо як ким кому куди ли лише ми між на над нам нас
        наш не него ні ніж о об от по під при про та так також там те тим то той тому ти у хто це цей ця ці чи чия чий
        через чого чому що щоб скільки я є""",
    "el": """
        α αλλά αν αντί από αυτά αυτές αυτή αυτό αυτοί αυτός αυτού για γιατί δε δεν εάν είναι είμαι είτε εκείνη εκείνο
        εκείνος ένα έναν ένας ενός ενώ επί έχει έχουν η ή ήταν θα και κατά κάθε με μέσα μετά μη μην μια μία μιας να ο οι
        όμως όπου όπως όσο όταν ότι ου πιο ποια ποιά ποιες ποιο ποιοι ποιον ποιος ποιός ποιου πολύ πόσα πόσες πόσο πόσοι
        που πού προς πριν πρέπει πώς σαν σε στα στη στην στις στο στον στους στων τα τη την της τι τις το τον του τους
        των ως""",
    "ar": """
        أن أنا أنت أو أي أين إلا إلى إن التي الذي الذين الى ان اي بعد بل بين تلك ثم حتى حول حيث ذلك سوف على عليه عليها
        عن عند عندما غير فقط في فيه فيها قبل قد كان كانت كل كم كما كيف لا لقد لكن لم لماذا لها له لهم لن ليس ما ماذا
        متى مع من منذ منه منها نحن نعم هذا هذه هل هم هنا هناك هو هي و وهو وهي يا يكون""",
    "hi": """
        अपना अपनी अपने अब आप इन इस इसका इसकी इसके इसे उन उनका उनकी उनके उस उसका उसकी उसके उसे एक एवं ऐसे और कब कभी कहाँ
        कहां का कि किन किस किसका किसके किसने किसी किसे की कितना कितनी कितने के कैसा कैसे को कोई कौन कौनसा क्या क्यों गई
        गए गया जब जहाँ जा जिन जिस जिसने जो तक तथा तब तो था थी थे द्वारा न नहीं ने पर फिर भी में मैं यदि यह यहाँ या ये
        रहा रही रहे लिए व वह वहाँ वाला वाली वाले वे सभी साथ से हम ही हुआ हुई हुए है हैं हो होता होती होते""",
}
# Documents speak of others, and who asks speaks of himself: what he has, may, must and gets.
_OF_THE_ASKER = {
    "de": """
        bekomme bekommen bekommt brauche brauchen braucht darf darfst dürfen geht hätte komme machen magst
        möchte möchten müssten müsste sollen sollten tun viel viele wieviel wieviele wäre""",
    "fr": """
        aurais devez devoir devons devrais dois doit es faire faut j peux pourrais puis suis vais va veut veux
        voudrais""",
    "es": """
        debe debemos deben debo debería eres estamos estoy hace hacer hago he necesito podemos podría puedo quiero soy
        somos tenemos tengo tienes""",
    "pt": """
        deve devem devemos devo estamos estou fazer faz posso podemos preciso quero sou somos temos tenho vou""",
    "it": """
        abbiamo avere deve devo dobbiamo essere fare faccio fai posso possiamo puoi sono stai sto vado voglio vorrei""",
    "nl": "ben bent doe doen gaat hebt krijg krijgen kunt mogen mocht moest wil willen wilt zijn",
    "sv": "behöver finns får göra gör måste vill",
    "da": "behøver findes gør gøre må vil",
    "no": "finnes gjør gjøre må trenger vil",
    "pl": """
        chcę mam mamy masz musi muszą musimy muszę mogę możemy należy potrzebuję robić trzeba zrobić""",
    "cs": "chci mám máme můžeme musí musím musíme potřebuji smím",
    "tr": """
        alabilir alabilirim eder ediyor edilir etmek etmeliyim gerek gerekir gerekiyor lazım mıyım miyim muyum
        müyüm mısınız misiniz var yapabilirim yapılır yapmak yapmalı yapmalıyım yok""",
    "ru": """
        буду быть должен должна должны делать могу можем можно можете мой моя моё мои надо нужен нужна нужно нужны
        положено сделать хочу""",
    "uk": "буду маю можемо можу можна мій моя моє мої мені нам повинен потрібно треба хочу",
}
_BY_LANGUAGE = {
    language: frozenset(f"{words} {_OF_THE_ASKER.get(language, '')}".split()) for language, words in _WORDS.items()
}
LANGUAGES = tuple(_BY_LANGUAGE)
"""Whose function words are known, ISO 639-1."""


def function_words(language: str) -> frozenset[str]:
    """Return those of a language, by its ISO 639-1 code; none where they are not known."""
    return _BY_LANGUAGE.get(language, frozenset())
