if  callee == "message" :

   if os.path.isdir(messages_path + caller):

      for files in os.listdir(messages_path + caller):

         while x > 0:

            if x > 3:

               x=ivr.playAndDetect(wav_path + "ivr_instruction.wav",60000)

            if x == 1:

               # listen message

               ivr.play(messages_path + caller + "/" + files)

               x=100

            if x == 2:

               # delete message

               os.remove(messages_path + caller + "/" + files)

               x=1

               ivr.play(wav_path + "ivr_next_message.wav")

               break

            if x == 3:

               # listen next message

               x=1

               ivr.play(wav_path + "ivr_next_message.wav")

               break

   # no new messages

   if x > 0:

      ivr.play(wav_path + "ivr_no_messages.wav")

# if user is not user of mailbox

# user can left message

else :

   print("play invitation")

   ivr.play(wav_path + "ivr_invitation.wav")

   print("record message")

   if os.path.isdir(messages_path + callee) != True:

      os.mkdir(messages_path + callee)

   ivr.record(messages_path + callee + "/" + callee + str(ivr.getTime()) + ".wav", 60)
